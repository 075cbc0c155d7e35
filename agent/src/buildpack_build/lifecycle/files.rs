//! Writes the files that a platform gives the lifecycle: CNB platform
//! specification, "Data Format".

use serde::Serialize;

use crate::buildpack_build::builder::{BuildpackInfo, RunImage};

#[derive(Serialize)]
struct RunToml<'a> {
    images: Vec<ImageToml<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StackToml<'a> {
    run_image: ImageToml<'a>,
}

#[derive(Serialize)]
struct ImageToml<'a> {
    image: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    mirrors: &'a [String],
}

#[derive(Serialize)]
struct OrderToml<'a> {
    order: [GroupToml<'a>; 1],
}

#[derive(Serialize)]
struct GroupToml<'a> {
    group: Vec<MemberToml<'a>>,
}

#[derive(Serialize)]
struct MemberToml<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
}

/// `run.toml`: the run images and their mirrors.
pub fn run_toml(images: &[RunImage]) -> Result<String, toml::ser::Error> {
    toml::to_string(&RunToml {
        images: images.iter().map(image_toml).collect(),
    })
}

/// `stack.toml`: the same for a Platform API before 0.12.
pub fn stack_toml(images: &[RunImage]) -> Result<String, toml::ser::Error> {
    match images.first() {
        None => Ok(String::new()),
        Some(image) => toml::to_string(&StackToml {
            run_image: image_toml(image),
        }),
    }
}

/// `order.toml` with one group.
pub fn order_toml(group: &[BuildpackInfo]) -> Result<String, toml::ser::Error> {
    toml::to_string(&OrderToml {
        order: [GroupToml {
            group: group.iter().map(member_toml).collect(),
        }],
    })
}

/// Adds a last group to an `order.toml`. The lifecycle tries it if no other
/// group passes.
pub fn with_last_group(order: &str, last: &BuildpackInfo) -> Result<String, String> {
    change_groups(order, |groups| {
        groups.push(group_of(vec![member_value(last)?]));
        Ok(())
    })
}

/// Adds buildpacks at the beginning and at the end of each group of an
/// `order.toml`. If it has no group, the buildpacks form one.
pub fn with_around(
    order: &str,
    first: &[BuildpackInfo],
    last: &[BuildpackInfo],
) -> Result<String, String> {
    let (first, last) = (member_values(first)?, member_values(last)?);
    change_groups(order, |groups| {
        if groups.is_empty() {
            groups.push(group_of(Vec::new()));
        }
        for group in groups {
            let members = group.get_mut("group").and_then(toml::Value::as_array_mut);
            let members = members.ok_or("a group is not an array")?;
            members.splice(0..0, first.iter().cloned());
            members.extend_from_slice(&last);
        }
        Ok(())
    })
}

fn change_groups(
    order: &str,
    change: impl FnOnce(&mut Vec<toml::Value>) -> Result<(), String>,
) -> Result<String, String> {
    let mut order: toml::Table = order
        .parse()
        .map_err(|error: toml::de::Error| error.to_string())?;
    let groups = order
        .entry("order")
        .or_insert_with(|| toml::Value::Array(Vec::new()));
    change(groups.as_array_mut().ok_or("`order` is not an array")?)?;
    toml::to_string(&order).map_err(|error| error.to_string())
}

fn group_of(members: Vec<toml::Value>) -> toml::Value {
    toml::Table::from_iter([("group".to_owned(), members.into())]).into()
}

fn member_value(buildpack: &BuildpackInfo) -> Result<toml::Value, String> {
    toml::Value::try_from(member_toml(buildpack)).map_err(|error| error.to_string())
}

fn member_values(buildpacks: &[BuildpackInfo]) -> Result<Vec<toml::Value>, String> {
    buildpacks.iter().map(member_value).collect()
}

fn member_toml(buildpack: &BuildpackInfo) -> MemberToml<'_> {
    let BuildpackInfo { id, version } = buildpack;
    MemberToml { id, version }
}

fn image_toml(image: &RunImage) -> ImageToml<'_> {
    ImageToml {
        image: &image.image,
        mirrors: image.mirrors.as_deref().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_last_group_is_tried_after_all_others() {
        let order = "[[order]]\n[[order.group]]\nid = \"a\"\noptional = true\n";
        let last = BuildpackInfo {
            id: "x/y".to_owned(),
            version: "1".to_owned(),
        };
        let group = "[[order]]\n\n[[order.group]]\nid = \"x/y\"\nversion = \"1\"\n";
        assert_eq!(
            with_last_group(order, &last).unwrap(),
            format!("[[order]]\n\n[[order.group]]\nid = \"a\"\noptional = true\n\n{group}")
        );
        assert_eq!(with_last_group("", &last).unwrap(), group);
        assert!(with_last_group("order = 1", &last).is_err());
    }

    #[test]
    fn buildpacks_go_around_each_group() {
        let info = |id: &str| BuildpackInfo {
            id: id.to_owned(),
            version: "1".to_owned(),
        };
        let order = "[[order]]\ngroup = [{ id = \"a\", optional = true }, { id = \"b\" }]\n\n[[order]]\ngroup = []\n";
        let around = with_around(order, &[info("x"), info("y")], &[info("z")]).unwrap();
        let read: toml::Table = around.parse().unwrap();
        let expected = r#"
            [[order]]
            group = [{ id = "x", version = "1" }, { id = "y", version = "1" },
                { id = "a", optional = true }, { id = "b" }, { id = "z", version = "1" }]
            [[order]]
            group = [{ id = "x", version = "1" }, { id = "y", version = "1" }, { id = "z", version = "1" }]
        "#;
        assert_eq!(read, expected.parse::<toml::Table>().unwrap());
        let alone = with_around("", &[], &[info("z")]).unwrap();
        assert_eq!(alone, order_toml(&[info("z")]).unwrap());
        assert!(with_around("[[order]]\n", &[], &[info("z")]).is_err());
    }

    #[test]
    fn files_have_the_shape_of_the_specification() {
        let image = RunImage {
            image: "a".to_owned(),
            mirrors: Some(vec!["b".to_owned()]),
        };
        let images = [image];
        assert_eq!(
            run_toml(&images).unwrap(),
            "[[images]]\nimage = \"a\"\nmirrors = [\"b\"]\n"
        );
        assert_eq!(
            stack_toml(&images).unwrap(),
            "[run-image]\nimage = \"a\"\nmirrors = [\"b\"]\n"
        );
        let buildpack = BuildpackInfo {
            id: "x/y".to_owned(),
            version: String::new(),
        };
        assert_eq!(
            order_toml(&[buildpack]).unwrap(),
            "[[order]]\n\n[[order.group]]\nid = \"x/y\"\n"
        );
    }
}
