"""A test host, and how to tell a story on it (docs/how-it-is-tested.md says what of it is real).

A story takes the fixture `host` (or `os_host`, whose images are operating systems), which is installed and off, and

1. prepares it: `host.configure` (settings), `host.drop_in` (a unit), files below `host.machine.etc`, mounts and
   networks in `host.machine.options`;
2. boots it, `host.boot()`, and does what an operator does: `host.ask_for`, `host.machine.run("systemctl", ...)`,
   `host.as_client` (another client of rpm-ostreed), `host.as_user`;
3. waits for what an operator reads, and never for time: `host.journal.wait_for(words)`, `host.wait_reboot()`. Both go
   on in the next boot. `PATIENCE` is the one guard, for what hangs; what was said last is in the failure's first line;
4. asserts on `host.status()`, `host.show(PROPERTY)`, `host.deployments`, `host.transactions()`, `host.machine.boots`.

A service beside the host, which outlives its reboots (a server that grants them, a scraper), is a file like
`scraper.py` or `locks.py`: in a network of the host's own (`network.py`), in the machine's control groups, so that the
keeper ends it too. A program on the host is a file in `usrlayer.py`.

Nothing has to be cleaned up: `keeper.py` does, also when the tests are killed. After a failure `machine.report()` is
printed.
"""
