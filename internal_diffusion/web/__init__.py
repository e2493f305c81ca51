"""The page of `idiff-web`: every use in a browser, on this machine alone.

A tab shows the options of a command. A run is that command in a process of its
own, so the page can stop it at once, and the command line that it shows does
the same in a terminal. Gradio is imported by `page` alone, where a page is
made; it comes with the extra `web`.
"""
