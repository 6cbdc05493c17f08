/** A small web server on a stack: files of one directory, nothing above it. */
import { createReadStream, readdirSync, realpathSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join, sep } from "node:path";
import { V2Error } from "../base/index.ts";
import { AF, ANY_IPV6, SOCK, type Sockets, waiting } from "../lwipv6/index.ts";
import { StackStream } from "./stack-stream.ts";

const BACKLOG = 64;

/** A request handler's server over a stack's sockets; disposing of it ends it. */
export function serveHttp(
  sockets: Sockets,
  port: number,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): AsyncDisposable {
  const fd = sockets.socket(AF.inet6, SOCK.stream);
  const bound = sockets.bind(fd, { address: ANY_IPV6, port });
  const result = bound < 0 ? bound : sockets.listen(fd, BACKLOG);
  if (result < 0) {
    sockets.close(fd);
    throw waiting.socketError(result, `listen at port ${port}`);
  }
  const server = createServer(handle);
  server.on("clientError", (_error, socket) => socket.destroy());
  const over = new AbortController();
  const accepting = (async (): Promise<void> => {
    for (;;) {
      const connection = await waiting.accept(sockets, fd, over.signal);
      const stream = new StackStream(sockets, connection);
      stream.on("error", () => stream.destroy());
      server.emit("connection", stream);
    }
  })().catch(() => {
    // Closed: nobody is accepted any more.
  });
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await accepting;
      sockets.close(fd);
      server.close();
    },
  };
}

/** Serves a directory. @throws V2Error when it is none, or the port is taken. */
export function serveDirectory(sockets: Sockets, directory: string, port: number): AsyncDisposable {
  let root: string;
  try {
    root = realpathSync(directory);
  } catch (error) {
    throw new V2Error("NO_DIRECTORY", `'${directory}' cannot be served`, { cause: error });
  }
  return serveHttp(sockets, port, (request, response) => answer(root, request, response));
}

function answer(root: string, request: IncomingMessage, response: ServerResponse): void {
  const path = decoded(request.url ?? "/");
  const named = path === undefined ? undefined : inside(root, path);
  const file = (named === undefined ? undefined : inside(named, "index.html")) ?? named;
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  const stat = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false });
  if (file === undefined || stat === undefined) {
    response.writeHead(404, { "content-type": "text/plain" }).end("not here\n");
  } else if (stat.isDirectory()) {
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
    response.end(`${readdirSync(file).join("\n")}\n`);
  } else if (stat.isFile()) {
    response.writeHead(200, { "content-length": stat.size });
    if (request.method === "HEAD") response.end();
    else
      createReadStream(file)
        .on("error", () => response.destroy())
        .pipe(response);
  } else response.writeHead(403).end();
}

function decoded(url: string): string | undefined {
  try {
    return decodeURIComponent(url.split("?")[0]!);
  } catch {
    return undefined;
  }
}

/** The file's real path; undefined: it is not there, or not below the root. */
function inside(root: string, path: string): string | undefined {
  try {
    const real = realpathSync(join(root, path));
    return real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)
      ? real
      : undefined;
  } catch {
    return undefined;
  }
}
