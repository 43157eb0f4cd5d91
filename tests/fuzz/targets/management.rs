//! What administrators hand in.

use harrier::management::definitions::Definitions;

/// Reads definitions.
pub fn definitions(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Err(error) = Definitions::parse(&text) {
        assert!(error.to_string().contains(": "), "it says where and what");
    }
}
