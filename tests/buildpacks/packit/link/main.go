// Links <tmp>/modules to the layer of this program, at launch, as setup-symlinks
// of Paketo's npm-install does.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := link(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func link() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	layer := filepath.Dir(filepath.Dir(program))
	// A launch needs the application as the build left it.
	if _, err := os.Stat(filepath.Join(layer, "application", "show.sh")); err != nil {
		return err
	}
	return os.Symlink(layer, filepath.Join(os.TempDir(), "modules"))
}
