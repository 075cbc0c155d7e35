//! Runs `locald login` and `locald logout`.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use protocol::{Failure, FailureKind};

use crate::cli::{LoginOptions, LogoutOptions};
use crate::credential::{Account, Credentials, RegistryKey, SavedAccounts, Secret};
use crate::exit_code;
use crate::output::{Answer, Printer};
use crate::platform::home::Home;

pub(super) fn login(options: &LoginOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let home = Home::find()?;
    let mut saved = SavedAccounts::open(&home.accounts)?;
    let username = match &options.username {
        Some(username) => username.clone(),
        None => ask_name()?,
    };
    let password = if options.password_stdin {
        piped_password()?
    } else {
        hidden_password()?
    };
    if username.is_empty() || password.is_empty() {
        let message = "neither the account nor its password may be empty";
        return Err(Failure::new(FailureKind::Invalid, message));
    }
    let key = RegistryKey::new(&options.registry);
    saved.set(&key, &Account::new(username, password))?;
    let registry = key.as_str().to_owned();
    printer.answer(&Answer::LoggedIn {
        registry,
        path: home.accounts,
    });
    Ok(exit_code::SUCCESS)
}

pub(super) fn logout(options: &LogoutOptions, printer: &mut Printer) -> Result<u8, Failure> {
    let home = Home::find()?;
    let key = RegistryKey::new(&options.registry);
    let known = SavedAccounts::open(&home.accounts)?.remove(&key)?;
    let registry = key.as_str().to_owned();
    let (credentials, _) = Credentials::load(&home);
    for place in credentials.places_of(&registry, &home) {
        let text = format!("{} still has an account of {registry}", place.display());
        printer.warning(&text, Some("log out with the program that it belongs to"));
    }
    printer.answer(&Answer::LoggedOut { registry, known });
    Ok(exit_code::SUCCESS)
}

fn ask_name() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(no_terminal());
    }
    let mut name = String::new();
    let asked = write!(io::stderr(), "Account: ").and_then(|()| io::stdin().read_line(&mut name));
    asked.map_err(|error| unreadable(&error))?;
    Ok(name.trim().to_owned())
}

fn hidden_password() -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return Err(no_terminal());
    }
    let password = rpassword::prompt_password("Password or token: ");
    Ok(password.map_err(|error| unreadable(&error))?.into())
}

fn piped_password() -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = io::stdin().read_to_string(&mut text);
    read.map_err(|error| unreadable(&error))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned().into())
}

fn unreadable(error: &io::Error) -> Failure {
    let mut failure = Failure::new(FailureKind::Invalid, "the account cannot be read");
    failure.causes.push(error.to_string());
    failure
}

fn no_terminal() -> Failure {
    Failure::new(
        FailureKind::Invalid,
        "there is no terminal to ask for the account",
    )
    .with_hint("echo \"$TOKEN\" | locald login REGISTRY --username NAME --password-stdin")
}
