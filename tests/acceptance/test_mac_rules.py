import pytest

from tests.acceptance.stage import WHATSAPP, Workspace

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_one(workspace: Workspace) -> None:
    import time

    t = time.time()
    b = workspace.command("block_contact", identity=WHATSAPP)
    await workspace.play(workspace.message("hello"), b)
    print(time.time() - t)
    t = time.time()
    print(await workspace.rows("contact_overview"))
    print(await workspace.result(b))
    print(time.time() - t)
    t = time.time()
    print(await workspace.outputs("messages.accepted"))
    print(await workspace.outputs("contacts.changes"))
    print(await workspace.outputs("billing.mac"))
    print(await workspace.contact_id())
    print(time.time() - t)


async def test_two(workspace: Workspace) -> None:
    await test_one(workspace)
