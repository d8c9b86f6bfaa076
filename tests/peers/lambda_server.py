"""AWS Lambda as far as a client of Invoke sees it: real functions in AWS's own runtime client, one at a time each.

Clients call `POST /2015-03-31/functions/NAME/invocations`. Behind every function runs `python -m awslambdaric` and takes
events from the Runtime API, <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>, on a port of its own. Limits,
errors and their texts are AWS's; signatures are checked as AWS does, with botocore.
"""

import hmac
import json
import queue
import re
import sys
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from processes import Process
from stores import ACCESS_KEY, SECRET_KEY

HERE = Path(__file__).parent
MOST_PAYLOAD_BYTES = 6 * 1024 * 1024
REGION = "us-east-1"


@dataclass
class Invocation:
    """An event on its way; `payload` and `failed` are set before `done`."""

    event: bytes
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: threading.Event = field(default_factory=threading.Event)
    payload: bytes = b""
    failed: bool = False

    def end(self, payload: bytes, failed: bool):
        self.payload, self.failed = payload, failed
        self.done.set()

    def fail(self, kind: str, message: str):
        self.end(json.dumps({"errorType": kind, "errorMessage": message}).encode(), failed=True)


class Lambda:
    """The service; `with Lambda(folder) as service` runs it on a free port. Who signs with another `secret` is not let in."""

    def __init__(self, folder: Path, signed: bool = True):
        self.folder, self.signed, self.secret, self.functions = folder, signed, SECRET_KEY, {}
        self.requests: list[tuple[str, str | None]] = []  # function and qualifier of each call that was let in
        self.http = serve(Invokes, self)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        for function in self.functions.values():
            function.close()

    def add(self, name: str, handler: str, seconds: float = 30, concurrency: int = 10, **environment: str) -> str:
        """Starts a function, in place of the one of its name, and gives its ARN.

        It may run for `seconds`, be called so often at once, and has `environment` beside what AWS gives to all.
        """
        if replaced := self.functions.pop(name, None):
            replaced.close()
        self.functions[name] = Function(self, name, handler, seconds, concurrency, environment)
        return self.functions[name].arn


class Function:
    """A function with its Runtime API and the process behind it."""

    def __init__(
        self, service: Lambda, name: str, handler: str, seconds: float, concurrency: int, environment: dict[str, str],
    ):
        self.arn = function_arn(name)
        self.seconds, self.free = seconds, threading.BoundedSemaphore(concurrency)
        self.one_at_a_time = threading.Lock()
        self.waiting: queue.Queue[Invocation] = queue.Queue()
        self.running: Invocation | None = None
        self.broken: dict | None = None  # why it could not be loaded
        self.http = serve(RuntimeApi, self)
        env = {
            "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "AWS_REGION": REGION,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.http.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            # As of the function's role; and a home without the AWS settings of whoever runs the tests.
            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "HOME": str(service.folder),
            **environment,
        }
        argv = [sys.executable, "-m", "awslambdaric", handler]
        self.process = Process(name, argv, service.folder / f"{name}.log", env, cwd=HERE)
        self.process.start()

    def close(self):
        self.end()
        self.http.shutdown()

    def end(self):
        if self.ended():
            self.process.running = None
        self.process.clear_away()

    def ended(self) -> bool:
        return self.process.running.poll() is not None

    def restart(self):
        """What was on its way to the runtime goes with it."""
        self.end()
        self.waiting, self.running, self.broken = queue.Queue(), None, None
        self.process.start()

    def invoke(self, event: bytes) -> Invocation:
        """Runs it once, as AWS does; what is called at once waits, where AWS would start further runtimes."""
        invocation = Invocation(event)
        with self.one_at_a_time:
            if self.ended() and not self.broken:
                self.restart()
            self.waiting.put(invocation)
            deadline = time.monotonic() + self.seconds
            while not invocation.done.wait(0.02):
                if self.broken:
                    invocation.end(json.dumps(self.broken).encode(), failed=True)
                elif self.ended() and self.running is not invocation:
                    # It ended over the one before, and never took this one.
                    self.restart()
                    self.waiting.put(invocation)
                elif self.ended():
                    message = f"RequestId: {invocation.id} Error: Runtime exited with error: exit status 1"
                    invocation.fail("Runtime.ExitError", message)
                elif time.monotonic() > deadline:
                    invocation.fail(
                        "Sandbox.Timedout",
                        f"RequestId: {invocation.id} Error: Task timed out after {self.seconds:.2f} seconds",
                    )
                    self.restart()
        return invocation


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def owner(self):
        return self.server.owner

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, body: bytes = b"", **headers: str):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, kind: str, message: str):
        body = json.dumps({"Type": "User", "Message": message}).encode()
        self.answer(status, body, x_amzn_ErrorType=f"{kind}:http://internal.amazon.com/")


class Invokes(Handler):
    """The side of Lambda's clients."""

    def do_POST(self):
        event, url = self.body(), urllib.parse.urlsplit(self.path)
        if fault := self.unsigned(event):
            return self.refuse(403, *fault)
        asked = re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", url.path)
        if not asked or self.headers.get("X-Amz-Invocation-Type", "RequestResponse") != "RequestResponse":
            return self.refuse(400, "InvalidRequestContentException", "not a synchronous call of a function")
        name = urllib.parse.unquote(asked[1])
        qualifier = urllib.parse.parse_qs(url.query).get("Qualifier", [None])[0]
        self.owner.requests.append((name, qualifier))
        function = self.owner.functions.get(name)
        if function is None or qualifier not in (None, "$LATEST"):
            suffix = f":{qualifier}" if qualifier else ""
            return self.refuse(404, "ResourceNotFoundException", f"Function not found: {function_arn(name)}{suffix}")
        if len(event) > MOST_PAYLOAD_BYTES:
            message = f"{len(event)} byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)"
            return self.refuse(413, "RequestTooLargeException", message)
        if not function.free.acquire(blocking=False):
            return self.refuse(429, "TooManyRequestsException", "Rate Exceeded.")
        try:
            invocation = function.invoke(event)
        finally:
            function.free.release()
        failed = {"X_Amz_Function_Error": "Unhandled"} if invocation.failed else {}
        self.answer(200, invocation.payload, X_Amz_Executed_Version="$LATEST", **failed)

    def unsigned(self, body: bytes) -> tuple[str, str] | None:
        """Why the request is not let in."""
        if not self.owner.signed:
            return None
        given = self.headers.get("Authorization", "")
        form = r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/lambda/aws4_request, SignedHeaders=(\S+), Signature=(\w+)"
        parts = re.fullmatch(form, given)
        if not parts:
            return "MissingAuthenticationTokenException", "Missing Authentication Token"
        key, region, names, signature = parts.groups()
        if key != ACCESS_KEY:
            return "UnrecognizedClientException", "The security token included in the request is invalid."
        headers = {name: self.headers.get(name, "") for name in names.split(";")}
        if missing := {"host", "x-amz-date"} - headers.keys():
            return "InvalidSignatureException", f"not signed: {missing}"
        request = AWSRequest("POST", f"http://{headers['host']}{self.path}", headers, body)
        request.context["timestamp"] = headers["x-amz-date"]
        auth = SigV4Auth(Credentials(ACCESS_KEY, self.owner.secret), "lambda", region)
        expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        if not hmac.compare_digest(expected, signature):
            return "InvalidSignatureException", "The request signature we calculated does not match the signature you provided."
        return None


class RuntimeApi(Handler):
    """The side of the function's process."""

    def do_GET(self):
        if self.path != "/2018-06-01/runtime/invocation/next":
            return self.answer(404)
        function, waiting = self.owner, self.owner.waiting
        invocation = waiting.get()
        function.running = invocation
        self.answer(
            200, invocation.event,
            Lambda_Runtime_Aws_Request_Id=invocation.id,
            Lambda_Runtime_Deadline_Ms=str(int((time.time() + function.seconds) * 1000)),
            Lambda_Runtime_Invoked_Function_Arn=function.arn,
        )

    def do_POST(self):
        body = self.body()
        if self.path == "/2018-06-01/runtime/init/error":
            self.owner.broken = json.loads(body)
            return self.answer(202, b'{"status":"OK"}')
        told = re.fullmatch(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)", self.path)
        invocation = self.owner.running
        if not told or invocation is None or told[1] != invocation.id:
            return self.answer(400, b'{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}')
        if len(body) > MOST_PAYLOAD_BYTES:
            message = f"Response payload size exceeded maximum allowed payload size ({MOST_PAYLOAD_BYTES} bytes)."
            invocation.fail("Function.ResponseSizeTooLarge", message)
            return self.answer(413, b'{"errorType":"RequestEntityTooLarge","errorMessage":"Exceeded maximum allowed payload size"}')
        invocation.end(body, failed=told[2] == "error")
        self.answer(202, b'{"status":"OK"}')


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:000000000000:function:{name}"


def serve(handler: type[Handler], owner) -> ThreadingHTTPServer:
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads, http.owner = True, owner
    threading.Thread(target=http.serve_forever, args=[0.05], daemon=True).start()
    return http
