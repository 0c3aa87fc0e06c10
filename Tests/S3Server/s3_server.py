"""A real S3 server (moto) on loopback for the tests, which can be told to misbehave.

Prints its port, and then one line of JSON for each line of its standard input, at whose end it exits:
  mode BUCKET MODE   `normal`, or a fault below
  log BUCKET         the requests so far: [[method, key, bytes of the body], ...]

Faults:
  lose      accepts bodies of objects and stores zeros instead
  forget    accepts objects, and stores nothing
  phantom   lists objects, and does not find them
  hollow    lists objects of a state, and does not find them
  keep      accepts removals, and removes nothing
  corrupt   returns objects of a state with a changed byte
  deny      rejects all credentials
  slow      reads bodies slowly
"""

import hashlib
import io
import json
import os
import sys
import threading
import time

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

DENIED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist.</Message></Error>"""
MISSING = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"""


class Faulty:
    def __init__(self, application):
        self.application = application
        self.modes = {}
        self.log = []
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        _, bucket, *key = environ["PATH_INFO"].split("/", 2)
        key, method = "".join(key), environ["REQUEST_METHOD"]
        mode = self.modes.get(bucket, "normal")
        entry = [bucket, method, key, 0]
        with self.lock:
            self.log.append(entry)
        if method == "PUT":
            return self.put(mode, key, entry, environ, start_response)
        if mode == "deny":
            return self.answer(start_response, "403 Forbidden", DENIED)
        if mode == "phantom" and method == "GET" and key:
            return self.answer(start_response, "404 Not Found", MISSING)
        if mode == "hollow" and method == "GET" and "state.safetensors" in key:
            return self.answer(start_response, "404 Not Found", MISSING)
        if mode == "keep" and (method == "DELETE" or method == "POST" and "delete" in environ["QUERY_STRING"]):
            return self.answer(start_response, "204 No Content", b"")
        if mode == "corrupt" and method == "GET" and "state.safetensors" in key:
            return self.corrupted(environ, start_response)
        return self.application(environ, start_response)

    def control(self, command, bucket, *mode):
        if command == "mode":
            self.modes[bucket] = mode[0]
            return None
        with self.lock:
            return [entry[1:] for entry in self.log if entry[0] == bucket]

    def put(self, mode, key, entry, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = bytearray()
        while len(body) < length:
            chunk = environ["wsgi.input"].read(min(64 << 10, length - len(body)))
            if not chunk:
                # The client was killed.
                return self.answer(start_response, "400 Bad Request", b"")
            body += chunk
            entry[3] = len(body)
            if mode == "slow":
                time.sleep(0.02)
        if mode == "deny":
            return self.answer(start_response, "403 Forbidden", DENIED)
        if mode == "forget" and key:
            tag = '"%s"' % hashlib.md5(body).hexdigest()
            start_response("200 OK", [("ETag", tag), ("Content-Length", "0")])
            return [b""]
        if mode == "lose" and key:
            body = bytes(length)
        environ["wsgi.input"] = io.BytesIO(bytes(body))
        return self.application(environ, start_response)

    def corrupted(self, environ, start_response):
        body = bytearray(b"".join(self.application(environ, start_response)))
        if body:
            body[len(body) // 2] ^= 1
        return [bytes(body)]

    @staticmethod
    def answer(start_response, status, body):
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type, message, *args):
        pass


application = Faulty(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.port, flush=True)
for line in sys.stdin:
    print(json.dumps(application.control(*line.split())), flush=True)
os._exit(0)
