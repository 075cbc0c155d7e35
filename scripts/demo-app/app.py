"""A small web application: one page, and where it runs."""

import http.server
import os
import platform

PAGE = """<!doctype html>
<title>locald</title>
<h1>Hello from an image that no Docker has seen</h1>
<p>Python {python} as user {uid}, in {folder}</p>
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGE.format(python=platform.python_version(), uid=os.getuid(), folder=os.getcwd())
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


port = int(os.environ.get("PORT", "8080"))
print(f"listening on http://localhost:{port}", flush=True)
http.server.ThreadingHTTPServer(("localhost", port), Page).serve_forever()
