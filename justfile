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
