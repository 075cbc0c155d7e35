//! The text that `locald` prints without a command.

/// The front page. It shows the five most important commands.
pub(crate) const FRONT_PAGE: &str = "\
locald turns a source folder into an OCI image and a development shell with
Cloud Native Buildpacks, without Docker.

  locald build    make an image of a folder
                    locald build ../shop -t ghcr.io/me/shop:1.2
  locald run      start it
                    locald run ../shop -e PORT=8080
  locald shell    work in the folder with the tools of its build
                    locald shell ../shop -- npm test
  locald image    list, inspect, tag, remove, export images
                    locald image export shop docker-archive:- | docker load
  locald push     push an image to its registry
                    locald push ghcr.io/me/shop:1.2

Begin with `locald build` in a project's folder; `locald doctor` tells whether
this machine has all it needs. All commands: `locald help`. One of them in
full: `locald help build`.
";
