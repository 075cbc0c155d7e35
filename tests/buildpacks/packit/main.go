// A buildpack on packit, the framework of Paketo. It downloads a dependency from
// a mirror over TLS, links the application's folder to a layer and back, and
// lists modules below the home directory in a software bill of materials.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/paketo-buildpacks/packit/v2"
	"github.com/paketo-buildpacks/packit/v2/cargo"
	"github.com/paketo-buildpacks/packit/v2/postal"
	"github.com/paketo-buildpacks/packit/v2/sbom"
)

const module = `module example.com/shop

go 1.22

require github.com/BurntSushi/toml v1.4.0
`

func main() { packit.Run(detect, build) }

func detect(packit.DetectContext) (packit.DetectResult, error) {
	return packit.DetectResult{Plan: packit.BuildPlan{
		Provides: []packit.BuildPlanProvision{{Name: "modules"}},
		Requires: []packit.BuildPlanRequirement{{Name: "modules", Metadata: map[string]any{"launch": true}}},
	}}, nil
}

func build(context packit.BuildContext) (packit.BuildResult, error) {
	modules, err := context.Layers.Get("modules")
	if err != nil {
		return packit.BuildResult{}, err
	}
	previous, _ := modules.Metadata["builds"].(int64)
	if modules, err = modules.Reset(); err != nil {
		return packit.BuildResult{}, err
	}
	modules.Launch, modules.Cache = true, true
	modules.Metadata = map[string]any{"builds": previous + 1}
	modules.SharedEnv.Append("MODULES", modules.Path, ":")
	modules.ExecD = []string{filepath.Join(context.CNBPath, "bin", "link")}
	if err := deliver(context, modules); err != nil {
		return packit.BuildResult{}, err
	}
	if err := links(context, modules); err != nil {
		return packit.BuildResult{}, err
	}
	if modules.SBOM, err = billOfMaterials(context); err != nil {
		return packit.BuildResult{}, err
	}
	return packit.BuildResult{
		Layers: []packit.Layer{modules},
		Launch: packit.LaunchMetadata{
			DirectProcesses: []packit.DirectProcess{{Type: "show", Command: []string{"sh", "show.sh"}, Default: true}},
			Labels:          map[string]string{"test.packit": os.Getenv("HOME")},
		},
	}, nil
}

// Downloads the dependency from the mirror of the platform.
func deliver(context packit.BuildContext, layer packit.Layer) error {
	service := postal.NewService(cargo.NewTransport())
	descriptor := filepath.Join(context.CNBPath, "buildpack.toml")
	dependency, err := service.Resolve(descriptor, "greeting", "*", context.Stack)
	if err != nil {
		return err
	}
	fmt.Println("delivering", dependency.Name)
	return service.Deliver(dependency, context.CNBPath, layer.Path, context.Platform.Path)
}

// Links the application's folder to a path that exists only after launch, as
// Paketo's npm-install does, and the layer to the application's folder.
func links(context packit.BuildContext, layer packit.Layer) error {
	inApplication := filepath.Join(context.WorkingDir, "modules")
	if err := os.RemoveAll(inApplication); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(os.TempDir(), "modules"), inApplication); err != nil {
		return err
	}
	return os.Symlink(context.WorkingDir, filepath.Join(layer.Path, "application"))
}

// Lists a module cache in the home directory, as Paketo's go-build does.
func billOfMaterials(context packit.BuildContext) (packit.SBOMFormatter, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	shop := filepath.Join(home, "go", "pkg", "mod", "example.com", "shop@v1.0.0")
	if err := os.MkdirAll(shop, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(shop, "go.mod"), []byte(module), 0o644); err != nil {
		return nil, err
	}
	bom, err := sbom.Generate(shop)
	if err != nil {
		return nil, err
	}
	return bom.InFormats(context.BuildpackInfo.SBOMFormats...)
}
