//! `/metrics` and what is written of it: the table of docs/monitoring, the alerts and the dashboard.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use reqwest::Client;

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

type Words = BTreeSet<String>;

/// A metric: its type, and its labels with their values.
#[derive(Debug, Default, PartialEq)]
struct Metric {
    kind: String,
    labels: BTreeMap<String, Words>,
}

fn file(name: &str) -> String {
    fs::read_to_string(format!("{}/docs/monitoring/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn words(text: &str) -> Words {
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

async fn scraped(bench: &Bench, accept: &str) -> String {
    let request = Client::new().get(bench.http() + "/metrics").bearer_auth(bench.token());
    request.header("accept", accept).send().await.unwrap().text().await.unwrap()
}

/// What a scrape in the older format has.
fn metrics(scrape: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::<String, Metric>::new();
    for line in scrape.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            metrics.insert(name.to_owned(), Metric { kind: kind.to_owned(), ..Metric::default() });
        } else if let Some((name, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let name = metric_of(name, &metrics);
            let metric = metrics.get_mut(&name).unwrap_or_else(|| panic!("{line} has no type"));
            for label in labels.rsplit_once('}').unwrap().0.split("\",") {
                let (label, value) = label.split_once("=\"").unwrap();
                let value = value.trim_end_matches('"').to_owned();
                metric.labels.entry(label.to_owned()).or_default().insert(value);
            }
        }
    }
    metrics
}

/// The metric that a series belongs to: a histogram has several.
fn metric_of(series: &str, metrics: &BTreeMap<String, Metric>) -> String {
    let histogram = ["_bucket", "_count", "_sum"].iter().find_map(|end| series.strip_suffix(end));
    histogram.filter(|name| metrics.contains_key(*name)).unwrap_or(series).to_owned()
}

/// What the table of a readme has; values only where it lists them.
fn explained(readme: &str) -> BTreeMap<String, Metric> {
    let rows = readme.lines().filter(|line| line.starts_with("| `brandpost_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let mut labels = BTreeMap::new();
        for label in cells[3].split([';', '；']).filter(|text| !text.is_empty()) {
            let mut quoted = label.split('`').skip(1).step_by(2);
            labels.insert(quoted.next().unwrap().to_owned(), words(quoted.next().unwrap_or_default()));
        }
        (cells[1].trim_matches('`').to_owned(), Metric { kind: cells[2].to_owned(), labels })
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_label_is_explained_and_nothing_else() {
    let mut bench = Bench::with("[http]\nlisten = \"127.0.0.1:0\"\n").await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.drop_file(OWN, "2.txt", b"no picture");
    bench.start().await;
    bench.quiet().await;
    bench.seen(OWN).await;
    let (older, text) =
        (scraped(&bench, "text/plain").await, scraped(&bench, "application/openmetrics-text").await);
    assert!(text.ends_with("# EOF\n") && !older.contains("# EOF"));
    let there = metrics(&older);
    for readme in ["README.md", "README.zh-CN.md"] {
        let readme = file(readme);
        let mut explained = explained(&readme);
        for (name, metric) in &mut explained {
            for (label, values) in metric.labels.iter_mut().filter(|(_, values)| values.is_empty()) {
                let seen = there.get(name).and_then(|metric| metric.labels.get(label));
                *values = seen.cloned().unwrap_or_default();
            }
        }
        assert_eq!(explained, there);
        assert_kinds(&readme, &older);
    }
    for line in [
        "brandpost_files{state=\"uploaded\"} 1",
        "brandpost_attempts_total{outcome=\"uploaded\",error_kind=\"\"} 1",
        "brandpost_attempts_total{outcome=\"failed\",error_kind=\"oss_rejected\"} 0",
        "brandpost_rejections_total{error_kind=\"unsupported_format\"} 2",
        "brandpost_delivery_seconds_count 1",
        "brandpost_inspect_seconds_count 3",
        "brandpost_paused{cause=\"operator\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    bench.stop().await;
}

/// The list of `error_kind`s below the table: of rejections, of attempts that failed, of those that are made again.
fn assert_kinds(readme: &str, scrape: &str) {
    let list = readme.split("\n\n").find(|part| part.contains("`error_kind`") && part.contains("duplicate"));
    let parts: Vec<_> = list.unwrap().split("outcome=\"").collect();
    for (part, series) in parts.iter().zip([
        "brandpost_rejections_total{",
        "brandpost_attempts_total{outcome=\"failed\"",
        "brandpost_attempts_total{outcome=\"retrying\"",
    ]) {
        let kinds = scrape.lines().filter(|line| line.starts_with(series));
        let kinds: Words = kinds
            .map(|line| line.split("error_kind=\"").nth(1).unwrap().split('"').next().unwrap().to_owned())
            .collect();
        let listed = part
            .split(|c: char| !c.is_ascii_lowercase() && c != '_')
            .filter(|word| word.contains('_') || kinds.contains(*word));
        let listed: Words = listed
            .filter(|word| *word != "error_kind" && !word.starts_with("brandpost_"))
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(listed, kinds, "{series}");
    }
}

/// Alerts and dashboard ask for nothing that is not there.
#[test]
fn alerts_and_dashboard_name_what_is_there() {
    let explained = explained(&file("README.md"));
    for name in ["alerts.yml", "grafana.json"] {
        let text = file(name);
        let names = text.match_indices("brandpost_").map(|(at, _)| &text[at..]);
        let names =
            names.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap());
        let names: BTreeSet<_> = names.map(|series| metric_of(series, &explained)).collect();
        assert!(names.len() > 5, "{names:?}");
        for metric in names {
            assert!(explained.contains_key(&metric), "{name} asks for {metric}");
        }
    }
}
