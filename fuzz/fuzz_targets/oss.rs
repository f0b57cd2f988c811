#![no_main]

mod answers;
mod grants;
mod messages;
mod targets;

use std::sync::LazyLock;

use brandpost::cloud::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let grant = grants::grant("oss-cn-hangzhou.aliyuncs.com", "https://b.oss-cn-hangzhou.aliyuncs.com");
    targets::target(&grant).unwrap()
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(answer) = answers::read(input) else { return };
    let error = brandpost::cloud::bucket::read_refusal(answer.status, &answer.headers, answer.body, &TARGET);
    messages::check(&error.failure);
});
