#![no_main]

mod grants;
mod messages;
mod targets;

// the endpoint in the first line, the URL in the rest
libfuzzer_sys::fuzz_target!(|input: &str| {
    let (endpoint, url) = input.split_once('\n').unwrap_or(("oss-cn-hangzhou.aliyuncs.com", input));
    targets::check(&grants::grant(endpoint, url));
});
