"""What the fake services of the tests answer with: over connections that stay, at once, and without a log."""

from http.server import BaseHTTPRequestHandler


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer's body waits for the client to confirm its head, which takes 40 ms

    def log_message(self, *_):
        pass
