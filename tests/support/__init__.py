"""What tests share.

Fixtures (tests/conftest.py):
    database        libpq URL of a fresh, fully migrated database on an embedded PostgreSQL 18
    empty_database  libpq URL of a database without any migration
    pool            an asyncpg pool on `database`, as workers open it
    broker          a fresh embedded broker (`tests.support.brokers.Broker`): four partitions a topic, in memory
    kafka           real Apache Kafka, shared by the run; topics and groups are the test's own. Mark the test
                    `@pytest.mark.kafka`. Without Java and Maven it is skipped, with CI set it fails
    kafka_server    the process behind it (`tests.support.kafka.KafkaServer`)
    any_broker      both of the above, one after the other

A worker in a test:

    async def test_…(database: str, pool: Pool, any_broker: Broker) -> None:
        async with running(spec, database, any_broker) as worker:           # tests.support.workers
            await any_broker.produce("messages.inbound", [(key, value), …])
            await any_broker.caught_up(pool, "messages.inbound")            # applied and published
            accepted = await any_broker.read("messages.accepted", 3)        # waits for three records
            code = await worker.stop()                                      # or: await worker.ended()

A whole plan, with its jobs and publishers, runs inside `tests.support.processes.at_work(database, broker, plan)`.

`running(…, probe=p)` calls `await p(point)` at every named point of the commit order: polled, fenced, applied,
before_commit, committed, published, offsets_committed, published_deleted, leases_taken, repeated (one poll of the
outbox), outbox_published, handing_over, handed_over. A probe that raises is a crash there; a probe that awaits an event
holds the worker there (`tests.support.probes`).
"""
