//! Every command has examples in its help, and they are right.

use clap::Command;

use crate::program::{harrier, run};

/// Every command and what is below it, by the words that lead to it.
pub fn commands() -> Vec<(Vec<String>, Command)> {
    let mut found = Vec::new();
    collect(&harrier::cli::command(), &[], &mut found);
    found
}

fn collect(command: &Command, words: &[String], found: &mut Vec<(Vec<String>, Command)>) {
    found.push((words.to_vec(), command.clone()));
    for inner in command.get_subcommands() {
        if inner.get_name() == "help" {
            continue;
        }
        let mut words = words.to_vec();
        words.push(inner.get_name().to_owned());
        collect(inner, &words, found);
    }
}

/// The examples in a command's help, a line of shell each.
pub fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let lines = help
        .lines()
        .skip_while(|line| !line.starts_with("Examples:"));
    let lines = lines.skip(1).take_while(|line| line.starts_with("  "));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// What the shell makes of a line, up to a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let script = format!("for word in {line}; do printf '%s\\n' \"$word\"; done");
    let split = std::process::Command::new("sh")
        .args(["-c", &script])
        .output();
    let split = String::from_utf8(split.unwrap().stdout).unwrap();
    split.lines().map(str::to_owned).collect()
}

/// The calls of the program in a line of shell, without what is around them.
fn calls(line: &str) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    let mut quoted = false;
    let mut call = String::new();
    for character in line.chars().chain(['|']) {
        quoted ^= character == '\'';
        match character {
            '|' | '>' if !quoted => calls.push(std::mem::take(&mut call)),
            // What explains the example stands behind many spaces.
            _ => call.push(character),
        }
    }
    let explained = |call: &String| {
        call.trim()
            .split("   ")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let calls = calls.iter().map(explained);
    calls.filter(|call| call.starts_with("harrier")).collect()
}

#[test]
fn every_command_has_examples() {
    for (words, command) in commands() {
        assert!(
            !examples(&command).is_empty(),
            "harrier {}",
            words.join(" ")
        );
    }
}

#[test]
fn every_command_says_what_it_and_its_options_are_for() {
    for (words, command) in commands() {
        let words = words.join(" ");
        assert!(command.get_about().is_some(), "harrier {words}");
        for option in command.get_arguments() {
            assert!(option.get_help().is_some(), "harrier {words}: {option}");
        }
    }
}

/// `permissions set USER` once logged in as USER: clap hands an argument down to
/// whatever has its identity.
#[test]
fn no_argument_is_taken_for_one_of_all_commands() {
    fn walk(command: &Command, above: &[String]) {
        let mut ids = above.to_vec();
        for argument in command.get_arguments() {
            let id = argument.get_id().to_string();
            assert!(!above.contains(&id), "{}: {id}", command.get_name());
            if argument.is_global_set() {
                ids.push(id);
            }
        }
        for inner in command.get_subcommands() {
            walk(inner, &ids);
        }
    }
    walk(&harrier::cli::command(), &[]);
}

#[test]
fn every_example_is_understood() {
    for (_, command) in commands() {
        for line in examples(&command) {
            for call in calls(&line) {
                let outcome = harrier::cli::command().try_get_matches_from(words(&call));
                if let Err(error) = outcome {
                    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
                    let kind = error.kind();
                    assert!(
                        matches!(kind, DisplayHelp | DisplayVersion),
                        "{call}\n{error}"
                    );
                }
            }
        }
    }
}

#[test]
fn completion_scripts_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&mut harrier(&["completion", shell]));
        assert_eq!((script.code, &*script.stderr), (Some(0), ""), "{shell}");
        for word in ["queues", "declare", "dead-letter-exchange"] {
            assert!(script.stdout.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn the_bash_script_completes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("harrier.bash");
    std::fs::write(&file, run(&mut harrier(&["completion", "bash"])).stdout).unwrap();
    let script = "source \"$1\"; COMP_WORDS=(harrier queues pu); COMP_CWORD=2; \
        _harrier harrier pu queues; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let completed = std::process::Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(&file)
        .output();
    let completed = String::from_utf8(completed.unwrap().stdout).unwrap();
    assert_eq!(completed, "purge\n");
}
