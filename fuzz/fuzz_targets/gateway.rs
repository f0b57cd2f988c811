#![no_main]

mod answers;
mod messages;
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(answer) = answers::read(input) else { return };
    match brandpost::cloud::gateway::read_answer(answer.status, &answer.headers, answer.body) {
        Ok(grant) => targets::check(&grant),
        Err(error) => messages::check(&error.failure),
    }
});
