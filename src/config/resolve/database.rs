//! Where the ledger is kept: a file, or a server.

use percent_encoding::percent_decode_str;
use url::Url;

use super::Resolver;
use crate::config::secret::{self, Secret, SecretPlace, SecretSource};
use crate::config::settings::{Database, DatabaseServer};

/// PostgreSQL's own.
const PORT: u16 = 5432;

/// The role, and the database, when the URL names none.
const NAME: &str = "brandpost";

impl Resolver<'_> {
    pub(super) fn database(&mut self, config: &std::path::Path) -> Database {
        let file = self.file().database.clone();
        let password =
            self.secret(secret::DATABASE_PASSWORD, &Secret::default(), &file.password_file, config);
        // what the unit hands to the service as a credential; commands find it there
        let beside = Some(self.path("db_password")).filter(|path| path.exists()).map(SecretPlace::File);
        let password =
            password.or_else(|| Some(SecretSource { key: secret::DATABASE_PASSWORD, place: beside? }));
        let server = Some(&file.url).filter(|url| !url.is_empty()).and_then(|url| match server(url) {
            Ok(server) => Some(DatabaseServer { password, ..server }),
            Err(why) => {
                self.wrong("database.url", why);
                None
            }
        });
        Database {
            path: self.own_path("database.path", &file.path),
            server,
            keep_attempts: file.keep_attempts.0,
        }
    }
}

/// `postgres://ROLE@HOST:PORT/DATABASE`, or `postgres:///DATABASE?host=/FOLDER` for a Unix socket.
fn server(text: &str) -> Result<DatabaseServer, String> {
    const FORM: &str = "is written as in \"postgres://brandpost@db.example.com/brandpost\", or \"postgres:///brandpost?host=/run/postgresql\"";
    let url = Url::parse(text).ok().filter(|url| ["postgres", "postgresql"].contains(&url.scheme()));
    let url = url.ok_or(FORM)?;
    if url.password().is_some() {
        return Err("has a password in it, which everybody can read here: use database.password_file".into());
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut server = DatabaseServer {
        host: decode(url.host_str().unwrap_or_default()),
        port: url.port().unwrap_or(PORT),
        user: decode(url.username()),
        database: decode(url.path().trim_start_matches('/')),
        password: None,
    };
    for (key, value) in url.query_pairs() {
        match &*key {
            "host" => server.host = value.into_owned(),
            "user" => server.user = value.into_owned(),
            "port" => server.port = value.parse().map_err(|_| FORM)?,
            other => {
                return Err(format!(
                    "has the unknown parameter {other}: the connection is always secured, with the certificate's name compared"
                ));
            }
        }
    }
    for name in [&mut server.user, &mut server.database] {
        if name.is_empty() {
            NAME.clone_into(name);
        }
    }
    // an address in brackets
    let host = server.host.trim_matches(['[', ']']).to_owned();
    server.host = host;
    if server.host.is_empty() || server.database.contains('/') { Err(FORM.into()) } else { Ok(server) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read() {
        let read = |text| server(text).map(|server| (server.host, server.port, server.user, server.database));
        let is = |host: &str, port, user: &str, database: &str| {
            Ok((host.to_owned(), port, user.to_owned(), database.to_owned()))
        };
        assert_eq!(read("postgres://u@db.example.com:6432/x"), is("db.example.com", 6432, "u", "x"));
        assert_eq!(read("postgresql://db/"), is("db", PORT, NAME, NAME));
        assert_eq!(read("postgres://u@[::1]/x"), is("::1", PORT, "u", "x"));
        assert_eq!(read("postgres:///x?host=/run/pg&user=a%20b&port=1"), is("/run/pg", 1, "a b", "x"));
        assert_eq!(read("postgres://u@%2Frun%2Fpg/x"), is("/run/pg", PORT, "u", "x"));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (text, why) in [
            ("db.example.com", "is written as"),
            ("mysql://u@h/x", "is written as"),
            ("postgres:///x", "is written as"),
            ("postgres://h/a/b", "is written as"),
            ("postgres://u:secret@h/x", "password_file"),
            ("postgres://h/x?sslmode=disable", "sslmode"),
        ] {
            let error = server(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret@"), "{text}: {error}");
        }
    }
}
