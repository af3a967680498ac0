"""A Python client that stays connected, as session.mjs does: `session.py LIBRARY http URL` or `session.py LIBRARY stdio COMMAND ARG…`.

LIBRARY is `mcp-1`, `mcp-2` or `fastmcp`; the interpreter's environment has it.
"""

import asyncio
import contextlib
import json
import sys


@contextlib.asynccontextmanager
async def mcp_1(kind, target):
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamablehttp_client

    if kind == "http":
        opened = streamablehttp_client(target[0])
    else:
        opened = stdio_client(StdioServerParameters(command=target[0], args=target[1:]))
    async with opened as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()

        async def call(name, arguments, on_progress):
            result = await session.call_tool(name, arguments, progress_callback=on_progress)
            return result.isError, result.content, result.structuredContent

        yield call


@contextlib.asynccontextmanager
async def mcp_2(kind, target):
    from mcp import Client, StdioServerParameters

    server = target[0] if kind == "http" else StdioServerParameters(command=target[0], args=target[1:])
    async with Client(server) as client:

        async def call(name, arguments, on_progress):
            result = await client.call_tool(name, arguments, progress_callback=on_progress)
            return result.is_error, result.content, result.structured_content

        yield call


@contextlib.asynccontextmanager
async def fastmcp(kind, target):
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    server = target[0] if kind == "http" else StdioTransport(target[0], target[1:])
    async with Client(server) as client:

        async def call(name, arguments, on_progress):
            result = await client.call_tool(name, arguments, progress_handler=on_progress, raise_on_error=False)
            return result.is_error, result.content, result.structured_content

        yield call


def say(value):
    print(json.dumps(value), flush=True)


async def main(library, kind, target):
    libraries = {"mcp-1": mcp_1, "mcp-2": mcp_2, "fastmcp": fastmcp}
    async with libraries[library](kind, target) as call:
        say({"connected": True})
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted = json.loads(line)
            progress = []

            async def on_progress(done, total=None, message=None):
                progress.append(message)

            try:
                is_error, content, structured = await call(wanted["name"], wanted["arguments"], on_progress)
                say({"isError": is_error, "text": content[0].text, "structured": structured, "progress": progress})
            except Exception as error:
                say({"failure": f"{type(error).__name__}: {error}", "progress": progress})


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
