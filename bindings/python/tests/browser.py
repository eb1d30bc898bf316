"""A user's browser, for `webbrowser`: opens a page, follows where it is sent, and says nothing."""

import sys
import urllib.request

urllib.request.urlopen(sys.argv[1], timeout=30).close()
