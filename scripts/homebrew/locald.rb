# Homebrew formula of locald; scripts/release fills in versions and checksums.
# The macOS checksum is that of an archive that was built on a Mac.
class Locald < Formula
  desc "OCI images and development shells with Cloud Native Buildpacks, without Docker"
  version "@VERSION@"
  license "Apache-2.0"

  on_macos do
    depends_on arch: :arm64
    depends_on "lima"
    url "@URL@/locald-@VERSION@-macos-aarch64.tar.gz"
    sha256 "@MACOS@"
  end

  on_linux do
    depends_on arch: :x86_64
    url "@URL@/locald-@VERSION@-linux-x86_64.tar.gz"
    sha256 "@LINUX@"
  end

  def install
    # Agents and guests are found beside the program.
    libexec.install Dir["locald", "locald-agent-*", "guest"]
    bin.install_symlink libexec/"locald"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/locald.bash" => "locald"
    zsh_completion.install "completions/locald.zsh" => "_locald"
    fish_completion.install "completions/locald.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/locald --version")
  end
end
