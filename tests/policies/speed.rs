//! What a change of policies takes in a virtual host with many queues.

use std::time::Instant;

use crate::support::{Host, number, policy, ranked};

#[test]
#[ignore = "measures"]
fn one_policy_more_among_twenty_over_ten_thousand_queues() {
    let mut host = Host::new();
    for group in 0..20 {
        let pattern = format!(r"^group-{group}\.(?!excepted)");
        let name = format!("group-{group}");
        host.set(policy(&name, &pattern, &[("max-length", number(1000))]));
    }
    for number in 0..10_000 {
        host.queue(
            &format!("group-{}.queue-{number}", number % 25),
            "classic",
            &[],
        );
    }
    for (what, pattern) in [("none", "^absent"), ("one in 25", "^group-7"), ("all", "")] {
        let begin = Instant::now();
        host.set(ranked("last", pattern, 9, &[("max-length", number(10))]));
        println!("for {what}: {:?}", begin.elapsed());
    }
    let begin = Instant::now();
    host.clear("last");
    println!("cleared: {:?}", begin.elapsed());
}
