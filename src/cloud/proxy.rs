//! The proxy of the environment: is it one that can be used, and which requests go through it.

use std::env::VarError;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// In the order in which the HTTP client asks for them: the first that is set counts, also when it is empty.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];

/// Which requests go through a proxy.
#[derive(Debug)]
pub(super) struct Proxies(Matcher);

impl Proxies {
    /// Reads the environment. The HTTP client would go without a proxy that it cannot read.
    ///
    /// # Errors
    /// With the variable's name, and never its value, which may hold a password.
    pub(super) fn from_env() -> Result<Self, String> {
        check(|name| std::env::var(name))?;
        Ok(Self(Matcher::from_env()))
    }

    /// Host and port of the proxy for a URL.
    pub(super) fn for_url(&self, url: &Url) -> Option<String> {
        let proxy = self.0.intercept(&url.as_str().parse().ok()?)?;
        let host = proxy.uri().host()?;
        Some(proxy.uri().port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

fn check(variable: impl Fn(&str) -> Result<String, VarError>) -> Result<(), String> {
    let set = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| match variable(name) {
            Ok(value) => Some((name, value)),
            Err(VarError::NotUnicode(_)) => Some((name, "\0".to_owned())),
            Err(VarError::NotPresent) => None,
        })
    };
    let own = [set(HTTPS), set(HTTP)];
    let needs_all = own.iter().any(|own| own.as_ref().is_none_or(|(_, value)| value.is_empty()));
    let all = set(ALL).filter(|_| needs_all);
    own.into_iter().chain([all]).flatten().filter(|(_, value)| !value.is_empty()).try_for_each(readable)
}

fn readable((name, value): (&str, String)) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("${name} {what}: write it as http://host:port, or unset it"));
    let Ok(uri) = value.parse::<Uri>() else {
        return wrong("is no address of a proxy");
    };
    let Some(authority) = uri.authority() else {
        return wrong("names no host");
    };
    let port = authority.as_str().rsplit_once(authority.host()).map_or("", |(_, port)| port);
    match uri.scheme_str() {
        _ if !port.is_empty() && authority.port_u16().is_none() => wrong("has a port that is no number"),
        None | Some("http" | "https") => Ok(()),
        Some(scheme) if scheme.starts_with("socks") => {
            wrong("names a SOCKS proxy, and only HTTP proxies can be used")
        }
        Some(_) => wrong("is neither http nor https"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(variables: &[(&str, &str)]) -> Result<(), String> {
        check(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn proxies_are_read_as_the_client_reads_them() {
        for value in
            ["", "http://p:3128", "p:3128", "https://user:pass@p:1/", "10.0.0.1:8080", "http://[::1]:1"]
        {
            checked(&[("HTTPS_PROXY", value)]).unwrap();
        }
        checked(&[]).unwrap();
        checked(&[("HTTPS_PROXY", ""), ("https_proxy", "://")]).unwrap();
        checked(&[("https_proxy", "p:1"), ("http_proxy", "p:1"), ("ALL_PROXY", "socks5://p:1")]).unwrap();
    }

    #[test]
    fn what_is_no_proxy_is_named_without_its_value() {
        let table = [
            ("HTTP_PROXY", "http//user:s3cret@p:1"),
            ("https_proxy", "http://user:s3cret@p:1 "),
            ("HTTPS_PROXY", "ftp://user:s3cret@p:1"),
            ("ALL_PROXY", "socks5://user:s3cret@p:1"),
            ("http_proxy", "http://user:s3cret@p:port"),
            ("all_proxy", "/s3cret"),
        ];
        for (name, value) in table {
            let error = checked(&[(name, value)]).expect_err(value);
            assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
        }
    }
}
