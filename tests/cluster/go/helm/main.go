// Command helm is Helm, built on the Kubernetes client libraries of the test clusters so that they
// are compiled once.
package main

import (
	"errors"
	"log/slog"
	"os"

	helm "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
	// Credentials of hosted clusters named in a kubeconfig.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

func main() {
	// Otherwise the owner of the applied fields is named after the file that this program is in.
	kube.ManagedFieldsManager = "helm"

	command, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err != nil {
		slog.Error("helm could not start", slog.Any("error", err))
		os.Exit(1)
	}
	if err := command.Execute(); err != nil {
		os.Exit(exitCode(err))
	}
}

// exitCode is the status that a plugin asked for, or 1.
func exitCode(err error) int {
	var failed helm.CommandError
	if errors.As(err, &failed) {
		return failed.ExitCode
	}
	return 1
}
