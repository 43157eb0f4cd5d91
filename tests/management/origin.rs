//! Requests that a page of somebody else has a browser send.

use crate::broker::Broker;

/// `guest:guest`, as a browser sends it along that knows it.
const KNOWN: (&str, &str) = ("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=");

#[test]
fn a_page_of_another_site_changes_nothing() {
    let broker = Broker::start();
    let http = broker.http;
    let own = format!("http://{http}");
    let host = http.to_string();
    for (headers, may) in [
        // No browser at all.
        (&[][..], true),
        (&[("origin", &*own)], true),
        (&[("origin", "http://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
        (
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://behind.a.proxy"),
            ],
            true,
        ),
        (&[("sec-fetch-site", "none")], true),
        (
            &[("sec-fetch-site", "cross-site"), ("origin", &*own)],
            false,
        ),
        (
            &[
                ("sec-fetch-site", "same-site"),
                ("origin", "http://evil.example"),
            ],
            false,
        ),
        (
            &[
                ("origin", "https://mq.example"),
                ("x-forwarded-host", "mq.example"),
            ],
            true,
        ),
        (
            &[
                ("origin", "http://evil.example"),
                ("x-forwarded-host", &*host),
            ],
            false,
        ),
    ] {
        let headers: Vec<_> = headers.iter().copied().chain([KNOWN]).collect();
        let answer = broker.send("PUT", "/api/users/mallory", &headers, "{\"tags\":\"\"}");
        assert_eq!(answer.status != 403, may, "{headers:?}: {}", answer.body);
        // Looking is free: no page can read what another site answers.
        let answer = broker.send("GET", "/api/whoami", &headers, "");
        assert_eq!(answer.status, 200, "{headers:?}");
    }
}
