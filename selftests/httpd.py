# SPDX-License-Identifier: GPL-2.0
"""HTTP servers whose settings are known, and kactl http check of them."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile

import ka

KEYS = ("url http_version persistent connection_header keep_alive measured "
        "fresh_ms reused_ms safe_reuse_ms tcp advice").split()
MEASURED = "idle_timeout_ms idle_capped max_requests requests_capped closed_by".split()
IDLE, MAX = 5, 100		# what the servers are told

NGINX = """
daemon off; master_process off; pid %(dir)s/nginx.pid; error_log %(dir)s/error;
events { }
http {
    access_log off; client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p;
    fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s;
    keepalive_timeout 5s 5s; keepalive_requests 100;
    ssl_certificate %(dir)s/cert; ssl_certificate_key %(dir)s/key;
    server {
        listen 127.0.0.1:8001; listen [::1]:8001; listen unix:%(dir)s/socket;
        listen 127.0.0.1:8441 ssl;
        location / { return 200 "hello\\n"; }
        location /moved { return 302 http://127.0.0.1:8002/there; }
    }
    server { listen 127.0.0.1:8442 ssl http2; location / { return 200; } }
    server {
        listen 127.0.0.1:8002; keepalive_timeout 2s; keepalive_requests 7;
        location / { return 200 "there\\n"; }
    }
    server { listen 127.0.0.1:8003; keepalive_timeout 0; location / { return 200; } }
    server { listen 127.0.0.1:8004; keepalive_timeout 20s 60s; location / { return 200; } }
    server { listen 127.0.0.1:8005; keepalive_timeout 1h; location / { return 200; } }
}
"""
APACHE = """
ServerName localhost
ServerRoot %(dir)s
PidFile %(dir)s/apache.pid
Mutex file:%(dir)s
ErrorLog %(dir)s/apache.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
User nobody
Group nogroup
StartServers 1
ThreadsPerChild 5
MinSpareThreads 1
ServerLimit 1
MaxRequestWorkers 5
Listen 127.0.0.1:8011
DocumentRoot %(dir)s/www
KeepAlive On
KeepAliveTimeout 5
MaxKeepAliveRequests 100
"""
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 5s
frontend f
    bind 127.0.0.1:8012
    http-request return status 200 content-type text/plain string hello
"""
LIGHTTPD = """
server.document-root = "%(dir)s/www"
server.port = 8013
server.bind = "127.0.0.1"
server.max-keep-alive-idle = 5
server.max-keep-alive-requests = 100
index-file.names = ( "index.html" )
"""
NODE = """
const s = require('http').createServer((q, r) => r.end('hello'));
s.keepAliveTimeout = 5000;
s.maxRequestsPerSocket = 100;
s.listen(8014, '127.0.0.1');
"""
PYTHON = """
import http.server
class H(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    disable_nagle_algorithm = True
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8015), H).serve_forever()
"""
# One connection at a time.
PYTHON1 = PYTHON.replace("ThreadingHTTPServer", "HTTPServer").replace("8015", "8016")

SERVERS = {
    "nginx": ("conf", NGINX, ["nginx", "-c", "%(dir)s/conf"], 8001),
    "apache2": ("apache", APACHE, ["apache2", "-X", "-f", "%(dir)s/apache"], 8011),
    "haproxy": ("haproxy", HAPROXY, ["haproxy", "-f", "%(dir)s/haproxy"], 8012),
    "lighttpd": ("lighttpd", LIGHTTPD, ["lighttpd", "-D", "-f", "%(dir)s/lighttpd"], 8013),
    "node": ("node.js", NODE, ["node", "%(dir)s/node.js"], 8014),
    "python3": ("python.py", PYTHON, ["python3", "%(dir)s/python.py"], 8015),
    "one at a time": ("python1.py", PYTHON1, ["python3", "%(dir)s/python1.py"], 8016),
    "http.server": (None, None, ["python3", "-m", "http.server", "-b", "127.0.0.1", "8017"], 8017),
}


def listens(ns, port):
    return ns.exec("ss", "-Hltn", f"sport = :{port}") != ""


def certificate(where):
    """For 127.0.0.1, signed by itself."""
    ka.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
           "-nodes", "-days", "30000", "-subj", "/CN=localhost", "-addext",
           "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", where + "/key",
           "-out", where + "/cert")


@contextlib.contextmanager
def serve(name):
    """A server, in a namespace: the namespace, its port and folder."""
    config, text, command, port = SERVERS[name]
    if not shutil.which(command[0]):
        raise ka.Skip(f"no {command[0]} here")
    with tempfile.TemporaryDirectory() as where, ka.Netns() as ns:
        os.chmod(where, 0o755)
        os.mkdir(where + "/www")
        with open(where + "/www/index.html", "w", encoding="ascii") as f:
            f.write("hello\n")
        if name == "nginx":
            certificate(where)
        if config:
            with open(f"{where}/{config}", "w", encoding="ascii") as f:
                f.write(text % {"dir": where} if "%(dir)s" in text else text)
        with open(where + "/said", "w", encoding="ascii") as said, \
                subprocess.Popen(["ip", "netns", "exec", ns.name,
                                  *(w % {"dir": where} for w in command)], cwd=where + "/www",
                                 stdin=subprocess.DEVNULL, stdout=said, stderr=said) as server:
            try:
                ka.poll(f"{name} listens", 60,
                        lambda: listens(ns, port) or server.poll() is not None)
                with open(where + "/said", encoding="utf-8") as f:
                    assert server.poll() is None, f"{name}: {f.read()}"
                yield ns, port, where
            finally:
                server.kill()


def kactl(ns, *args, status=0, env=None):
    """Exit status is as wanted; standard output and error."""
    p = subprocess.run([ka.KACTL, "-n", ns.name, *args], text=True, capture_output=True,
                       check=False, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    assert p.returncode == status, f"{args}: {p.returncode}: {p.stdout}{p.stderr}"
    return p.stdout, p.stderr


def check(ns, url, *args, env=None):
    """The report, whose form is right; what is on standard error is a failure."""
    out, err = kactl(ns, "-j", "http", "check", url, *args, env=env)
    got, = json.loads(out)
    assert not err, err
    assert list(got) == KEYS and list(got["measured"]) == MEASURED, got
    return got


def advised(got, *words):
    """There is an advice that has all these words."""
    assert any(all(w in line for w in words) for line in got["advice"]), f"{words}: {got['advice']}"


def unsaid(got, word):
    assert not any(word in line for line in got["advice"]), f"{word}: {got['advice']}"


def about(ms, seconds, late=0.5):
    """So many seconds, or a little more; the server began to count a little before."""
    return seconds * 1000 - 100 <= ms <= (seconds + late) * 1000
