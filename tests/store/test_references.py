from disks import append

from collector.config.reference_from import ReferenceFrom
from collector.formats.frames import Frame
from collector.store.data_dir import DataDir
from collector.store.journal import open_journal
from collector.store.records import MadeReference, Part

FIRST = ReferenceFrom(first_rows=5)
MADE = MadeReference("references/made-a.parquet", FIRST.words, 5, 1.0)


async def test_a_file_is_known_after_a_restart_and_given_back_by_the_one_that_takes_its_place(path):
    async with open_journal(DataDir(path.parent)) as journal:
        assert await journal.references.enter("main", "main", MADE) is None
    async with open_journal(DataDir(path.parent)) as journal:
        book = journal.references
        assert await book.find("main", "main") == MADE
        assert (await book.find("main", "labels"), await book.known_files("other")) == (None, set())
        assert await book.known_files() == {MADE.path}
        assert await book.enter("main", "main", None) == MADE
        assert await book.known_files("main") == set()


async def test_a_batch_is_compared_with_the_parts_of_those_that_were_delivered_before(journal):
    batches = []
    for number in range(2):
        await append(journal, "main", Frame("json", b'[{"id": 1}]', 1))
        run = await journal.next_run("main", None, 1, 2**20)
        await journal.spill(run, Part(f"{number}.parquet", 1, 50))
        batches.append(await journal.seal("main", f"b{number}"))
    first, second = batches
    assert await journal.references.find_parts(second, FIRST) == {}
    await journal.finish(await journal.mark(first, "evaluated"))
    found = await journal.references.find_parts(second, FIRST)
    assert {batch: [part.path for part in parts] for batch, parts in found.items()} == {"b0": ["0.parquet"]}
