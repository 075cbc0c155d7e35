// A buildpack on Go's libcnb, the framework of Paketo's Java buildpacks. A program
// in its layer reads the limits of memory and processor time before each launch.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/buildpacks/libcnb"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "detect", "build":
		libcnb.Main(buildpack{}, buildpack{})
	default:
		libcnb.RunExecD(map[string]libcnb.ExecD{"limits": limits{}})
	}
}

type buildpack struct{}

func (buildpack) Detect(libcnb.DetectContext) (libcnb.DetectResult, error) {
	return libcnb.DetectResult{Pass: true, Plans: []libcnb.BuildPlan{{
		Provides: []libcnb.BuildPlanProvide{{Name: "limits"}},
		Requires: []libcnb.BuildPlanRequire{{Name: "limits"}},
	}}}, nil
}

func (buildpack) Build(context libcnb.BuildContext) (libcnb.BuildResult, error) {
	result := libcnb.NewBuildResult()
	builds, _ := context.PersistentMetadata["builds"].(int64)
	result.PersistentMetadata["builds"] = builds + 1
	result.Labels = []libcnb.Label{{Key: "test.libcnb", Value: fmt.Sprint(builds + 1)}}
	result.Layers = []libcnb.LayerContributor{helper{context.Buildpack.Path}}
	result.Processes = []libcnb.Process{
		{Type: "by-shell", Command: "sh show.sh; echo \"by a shell: $PROFILED $ROLE\""},
		{Type: "elsewhere", Command: "pwd", Direct: true, WorkingDirectory: "/tmp"},
	}
	result.Slices = []libcnb.Slice{{Paths: []string{"sliced/*"}}}
	return result, nil
}

// A layer with this program, which the launcher runs as exec.d/limits.
type helper struct{ buildpack string }

func (helper) Name() string { return "helper" }

func (h helper) Contribute(layer libcnb.Layer) (libcnb.Layer, error) {
	layer.LayerTypes = libcnb.LayerTypes{Launch: true}
	if err := os.MkdirAll(layer.Exec.Path, 0o755); err != nil {
		return layer, err
	}
	content, err := os.ReadFile(filepath.Join(h.buildpack, "bin", "build"))
	if err != nil {
		return layer, err
	}
	program := filepath.Join(layer.Path, "helper")
	if err := os.WriteFile(program, content, 0o755); err != nil {
		return layer, err
	}
	if err := os.Remove(layer.Exec.FilePath("limits")); err != nil && !os.IsNotExist(err) {
		return layer, err
	}
	if err := os.Symlink(program, layer.Exec.FilePath("limits")); err != nil {
		return layer, err
	}
	layer.LaunchEnvironment.Default("OPTIONS", "-Dfrom=libcnb")
	layer.LaunchEnvironment.Append("OPTIONS", " ", "-Dhome="+os.Getenv("HOME"))
	layer.LaunchEnvironment.ProcessOverride("by-shell", "ROLE", "shell")
	layer.Profile.Add("profiled.sh", "export PROFILED=yes")
	return layer, nil
}
