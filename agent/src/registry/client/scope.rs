//! Computes the scopes of a token: `repository:library/app:pull,push`.

use crate::registry::request::Operation;

/// The scope that an operation in a repository needs.
pub(super) fn of(repository: &str, operation: Operation) -> String {
    match operation {
        Operation::Pull => format!("repository:{repository}:pull"),
        Operation::Push => format!("repository:{repository}:pull,push"),
    }
}

/// The needed scope and the scopes that the registry demands. A registry may
/// use another name for the repository, or demand the source of a mount, too.
pub(super) fn merge(own: String, asked: &str) -> Vec<String> {
    let mut scopes = vec![own];
    for asked in asked.split_whitespace() {
        let known = scopes
            .iter_mut()
            .find(|scope| resource(scope) == resource(asked));
        let Some(known) = known else {
            scopes.push(asked.to_owned());
            continue;
        };
        for action in actions(asked) {
            if !actions(known).any(|known| known == action) {
                *known = format!("{known},{action}");
            }
        }
    }
    scopes
}

fn resource(scope: &str) -> &str {
    scope
        .rsplit_once(':')
        .map_or(scope, |(resource, _)| resource)
}

fn actions(scope: &str) -> impl Iterator<Item = &str> {
    let actions = scope.rsplit_once(':').map_or("", |(_, actions)| actions);
    actions.split(',').filter(|action| !action.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_one_repository_are_one() {
        let merged = |asked| merge(of("me/app", Operation::Push), asked).join(" ");
        let own = "repository:me/app:pull,push";
        for (asked, expected) in [
            ("", own.to_owned()),
            ("repository:me/app:pull", own.to_owned()),
            ("repository:me/app:delete,pull", format!("{own},delete")),
            (
                "repository:me/app:push repository:me/base:pull",
                format!("{own} repository:me/base:pull"),
            ),
            ("registry:catalog:*", format!("{own} registry:catalog:*")),
            ("odd", format!("{own} odd")),
        ] {
            assert_eq!(merged(asked), expected, "{asked}");
        }
    }
}
