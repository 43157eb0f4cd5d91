//! Requests that a page of somebody else has a browser send.
//!
//! A browser that knows a password sends it along with whatever any page asks of
//! this interface. It says itself where that page is from, and no page can change
//! what it says; programs that aren't browsers say nothing, and may.

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Method};

/// Where the page is from, in the browser's words.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What the browser asked for, where a proxy has asked for something else.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether a request would change something at the wish of another site's page.
pub fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return false;
    }
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    match (text(SITE), text(ORIGIN)) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, None) => false,
        (None, Some(origin)) => {
            let asked = origin.split_once("://").map(|(_, host)| host);
            let served = [text(HOST), text(FORWARDED_HOST)];
            asked.is_none_or(|asked| !served.contains(&Some(asked)))
        }
    }
}
