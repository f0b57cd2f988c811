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

# the two clouds on 127.0.0.1:9610, for config.toml as it stands
sandbox *ARGS:
    cargo run --bin brandpost-sandbox -- serve {{ARGS}}

# look at changed snapshots
snapshots:
    INSTA_UPDATE=always cargo test --test it
    git diff tests/it/snapshots

# from rename into the folder to `uploaded`, and how many files a second
bench:
    cargo bench --bench pipeline

# as many simulated runs as asked: `just simulate 5000`, or from another first seed: `just simulate 5000 90001`
simulate COUNT FIRST="1":
    BRANDPOST_SEEDS={{COUNT}} BRANDPOST_FIRST_SEED={{FIRST}} cargo test --test it nothing_is_lost_doubled -- --nocapture

# one simulated run, with its trace
replay SEED:
    BRANDPOST_SEED={{SEED}} cargo test --test it one_seed -- --nocapture

# kill -9 on the release build
crash ROUNDS="50" FILES="1000":
    cargo build --release
    BRANDPOST_BIN=target/release/brandpost BRANDPOST_ROUNDS={{ROUNDS}} BRANDPOST_FILES={{FILES}} \
        cargo test --test it killed_ -- --nocapture
