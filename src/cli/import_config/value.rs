//! Values of `rabbitmq.conf`, as TOML.

use std::net::IpAddr;

use toml::Value;

/// A value, or what was expected instead.
pub(super) type Converted = Result<Value, String>;

pub(super) fn text(value: &str) -> Converted {
    Ok(Value::String(value.to_owned()))
}

pub(super) fn count(value: &str) -> Converted {
    number(value).map(Value::Integer)
}

/// A count, or any number: then it is `unlimited` here.
pub(super) fn count_or(value: &str, unlimited: i64) -> Converted {
    match value {
        "infinity" | "undefined" | "false" => Ok(Value::Integer(unlimited)),
        _ => count(value),
    }
}

pub(super) fn share(value: &str) -> Converted {
    let share: f64 = value
        .parse()
        .map_err(|_| format!("expected a number such as 0.6, found `{value}`"))?;
    if share > 0.0 && share <= 1.0 {
        return Ok(Value::Float(share));
    }
    Err(format!("expected more than 0 and at most 1, found {value}"))
}

/// Bytes with a unit: `2GB`, `512MiB`, `50M`, `1000000`.
pub(super) fn octets(value: &str) -> Converted {
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (amount, unit) = value.split_at(digits);
    let unit: i64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("expected bytes such as 2GB, found `{value}`")),
    };
    let octets = number(amount)?.checked_mul(unit);
    let octets = octets.ok_or_else(|| format!("{value} is more than there is"))?;
    Ok(Value::Integer(octets))
}

/// A level of the log.
pub(super) fn level(value: &str) -> Converted {
    let level = match value {
        "debug" => "debug",
        "info" | "notice" => "info",
        "warning" => "warn",
        "error" | "critical" | "alert" | "emergency" => "error",
        "none" => "off",
        _ => return Err(format!("expected a level such as info, found `{value}`")),
    };
    text(level)
}

/// `5672` is all addresses, `10.0.0.1:5672` one of them.
pub(super) fn listener(value: &str) -> Converted {
    match value.rsplit_once(':') {
        None => address("0.0.0.0", value),
        Some((host, port)) => address(host.trim_matches(['[', ']']), port),
    }
}

/// An address to listen on.
pub(super) fn address(host: &str, port: &str) -> Converted {
    let host = if host == "localhost" {
        "127.0.0.1"
    } else {
        host
    };
    let host: IpAddr = host
        .parse()
        .map_err(|_| format!("expected an address such as 127.0.0.1, found `{host}`"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| format!("expected a port, found `{port}`"))?;
    text(&std::net::SocketAddr::new(host, port).to_string())
}

/// Whether.
pub(super) fn flag(value: &str) -> Converted {
    boolean(value).map(Value::Boolean)
}

pub(super) fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" | "on" | "yes" => Ok(true),
        "false" | "off" | "no" => Ok(false),
        _ => Err(format!("expected true or false, found `{value}`")),
    }
}

fn number(value: &str) -> Result<i64, String> {
    value
        .parse()
        .map_err(|_| format!("expected a whole number, found `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_rabbitmqs_units() {
        for (written, octets_expected) in [
            ("50000", 50_000),
            ("50MB", 50_000_000),
            ("50MiB", 52_428_800),
            ("50M", 52_428_800),
            ("1GB", 1_000_000_000),
            ("2 GiB", 2_147_483_648),
        ] {
            assert_eq!(
                octets(written),
                Ok(Value::Integer(octets_expected)),
                "{written}"
            );
        }
        for wrong in ["", "GB", "1 elephant", "99999999999999GB", "-1"] {
            assert!(octets(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn listeners_are_a_port_or_an_address_with_one() {
        for (written, expected) in [
            ("5672", "0.0.0.0:5672"),
            ("127.0.0.1:5672", "127.0.0.1:5672"),
            ("::1:5672", "[::1]:5672"),
            ("[::]:5672", "[::]:5672"),
            ("localhost:5672", "127.0.0.1:5672"),
        ] {
            assert_eq!(listener(written), text(expected), "{written}");
        }
        assert!(listener("mq.example:5672").is_err());
        assert!(listener("70000").is_err());
    }
}
