"""Drives a server with the Python package `mcp` 1.x: `drive_v1.py MODE http URL` or `drive_v1.py MODE stdio COMMAND ARG…`.

MODE is not used: these clients know only the legacy revisions. Prints what the client saw as one JSON object.
"""

import asyncio
import contextlib
import json
import pathlib
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

PROGRAMS = json.loads(pathlib.Path(__file__).with_name("programs.json").read_text())


def seen(result):
    return {"isError": result.isError, "text": result.content[0].text, "structured": result.structuredContent}


async def main(kind, target):
    progress = []

    async def on_progress(done, total, message):
        progress.append([done, message])

    async with contextlib.AsyncExitStack() as stack:
        if kind == "http":
            read, write, _ = await stack.enter_async_context(streamablehttp_client(target[0]))
        else:
            server = StdioServerParameters(command=target[0], args=target[1:])
            read, write = await stack.enter_async_context(stdio_client(server))
        client = await stack.enter_async_context(ClientSession(read, write))
        hello = await client.initialize()
        tools = await client.list_tools()
        two = await client.call_tool("execute", {"code": PROGRAMS["two"]})
        fails = await client.call_tool("execute", {"code": PROGRAMS["fails"]})
        slow = await client.call_tool("execute", {"code": PROGRAMS["slow"]}, progress_callback=on_progress)
        big = await client.call_tool("execute", {"code": PROGRAMS["big"]})
        started = await client.call_tool("execute", {"code": PROGRAMS["slow"], "waitForResult": False})
        task = {"taskId": started.structuredContent["taskId"]}
        polled = await client.call_tool("task_get", task | {"waitMs": 10000})
        endless = await client.call_tool("execute", {"code": PROGRAMS["endless"], "waitForResult": False})
        cancelled = await client.call_tool("task_cancel", {"taskId": endless.structuredContent["taskId"]})
        listed = await client.call_tool("task_list", {})
        bad = await client.call_tool("execute", {"code": PROGRAMS["two"], "timeout": 5})
        print(
            json.dumps(
                {
                    "version": str(hello.protocolVersion),
                    "tools": [tool.name for tool in tools.tools],
                    "two": seen(two),
                    "fails": seen(fails),
                    "slow": seen(slow),
                    "big": seen(big),
                    "polled": seen(polled),
                    "cancelled": seen(cancelled),
                    "listed": seen(listed),
                    "bad": seen(bad),
                    "progress": progress,
                }
            )
        )


asyncio.run(main(sys.argv[2], sys.argv[3:]))
