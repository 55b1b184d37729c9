#!/usr/bin/env python
"""The documentation's weather program with mistralai 3.x, plain and streaming, against TRAMONTANE_URL.

Nothing in it is special but the server's URL. What it prints as "ok:" it has checked; it fails at the first miss.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from mcp import StdioServerParameters
from mistralai.client import Mistral, errors
from mistralai.client.types import BaseModel
from mistralai.extra.mcp.stdio import MCPClientSTDIO
from mistralai.extra.run.context import RunContext
from mistralai.extra.run.result import RunResult

cwd = Path(__file__).parent
sys.path.insert(0, str(cwd.parent))

import checks  # noqa: E402
from mcp_servers.stdio_server import temperature_of  # noqa: E402

MODEL = "mistral-medium-latest"
CITIES = ["New York", "London", "Paris", "Tokyo", "Sydney"]
QUESTION = "Tell me the weather in John's location currently."

server_params = StdioServerParameters(
    command=sys.executable,
    args=[str((cwd / "mcp_servers/stdio_server.py").resolve())],
    env=None,
)


class WeatherResult(BaseModel):
    user: str
    location: str
    temperature: float


def prepare(agent_id: str) -> RunContext:
    return RunContext(agent_id=agent_id, output_format=WeatherResult, continue_on_fn_error=True)


async def register(run_ctx: RunContext) -> None:
    @run_ctx.register_func
    def get_location(name: str) -> str:
        """Function to get location of a user.

        Args:
            name: name of the user.
        """
        return random.choice(CITIES)

    await run_ctx.register_mcp_client(mcp_client=MCPClientSTDIO(stdio_params=server_params))


async def run(client: Mistral, agent_id: str) -> RunResult:
    async with prepare(agent_id) as run_ctx:
        await register(run_ctx)
        run_result = await client.beta.conversations.run_async(run_ctx=run_ctx, inputs=QUESTION)

    print("All run entries:")
    for entry in run_result.output_entries:
        print(f"{entry}")
    print(f"Final model: {run_result.output_as_model}")
    return run_result


async def stream(client: Mistral, agent_id: str) -> tuple[list, RunResult]:
    seen, run_result = [], None
    async with prepare(agent_id) as run_ctx:
        await register(run_ctx)
        events = await client.beta.conversations.run_stream_async(run_ctx=run_ctx, inputs=QUESTION)
        async for event in events:
            if isinstance(event, RunResult):
                run_result = event
            else:
                print(event)
                seen.append(event)
            checks.that(event is run_result or run_result is None, "nothing comes after the RunResult")
    if not run_result:
        raise RuntimeError("No run result found")
    return seen, run_result


async def main() -> None:
    client = Mistral(api_key=os.environ.get("MISTRAL_API_KEY", "none"), server_url=os.environ["TRAMONTANE_URL"])
    weather_agent = client.beta.agents.create(
        model=MODEL,
        name="weather teller",
        instructions="You are able to tell the weather.",
        description="",
    )
    checks.created_agent(weather_agent, MODEL)

    run_result = await run(client, weather_agent.id)
    checks.run("run_async", run_result, WeatherResult, CITIES, temperature_of)

    events, run_result = await stream(client, weather_agent.id)
    checks.run("run_stream_async", run_result, WeatherResult, CITIES, temperature_of)
    checks.stream(events, run_result)

    checks.agents(client, weather_agent.id, MODEL)
    checks.conversations(client, run_result.conversation_id, weather_agent.id)
    checks.streams(client, MODEL)
    checks.errors(client, errors.SDKError, errors.HTTPValidationError)


if __name__ == "__main__":
    asyncio.run(main())
