//! The operators' page. Its files are part of the program; scripts and styles are served as files of their own,
//! so that nothing inline need be allowed.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use crate::domain::{text, texts};

const INDEX: &str = include_str!("page/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<[(&str, &str, &str); 14]> = LazyLock::new(|| {
    [
        ("page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
        ("main.js", SCRIPT, include_str!("page/main.js")),
        ("api.js", SCRIPT, include_str!("page/api.js")),
        ("store.js", SCRIPT, include_str!("page/store.js")),
        ("actions.js", SCRIPT, include_str!("page/actions.js")),
        ("rows.js", SCRIPT, include_str!("page/rows.js")),
        ("detail.js", SCRIPT, include_str!("page/detail.js")),
        ("views.js", SCRIPT, include_str!("page/views.js")),
        ("memory.js", SCRIPT, include_str!("page/memory.js")),
        ("dom.js", SCRIPT, include_str!("page/dom.js")),
        ("words.js", SCRIPT, include_str!("page/words.js")),
        ("hidden.js", SCRIPT, hidden().leak()),
        ("texts.js", SCRIPT, texts().leak()),
        ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ]
});

/// The page escapes the same characters as the rest of the program.
fn hidden() -> String {
    let code = |c: &char| format!("\\u{{{:x}}}", u32::from(*c));
    let ranges = text::HIDDEN.iter().map(|range| format!("{}-{}", code(range.start()), code(range.end())));
    format!("export const HIDDEN = /[{}]/gu;\n", ranges.collect::<String>())
}

/// What states, notices and kinds of errors are, in the words of the rest of the program.
fn texts() -> String {
    format!("export const TEXTS = {};\n", texts::for_page())
}

pub(super) async fn index() -> Html<&'static str> {
    Html(INDEX)
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(asset, ..)| *asset == name) {
        Some((_, kind, text)) => ([(header::CONTENT_TYPE, *kind)], *text).into_response(),
        None => super::api::unknown().into_response(),
    }
}
