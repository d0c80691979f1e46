// The servers and clients of Kubernetes' own network tests, for pods: netexec answers who called and who answered.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"k8s.io/kubernetes/test/images/agnhost/connect"
	"k8s.io/kubernetes/test/images/agnhost/netexec"
)

func main() {
	root := &cobra.Command{Use: "agnhost"}
	root.AddCommand(netexec.CmdNetexec, connect.CmdConnect)
	if err := root.Execute(); err != nil {
		os.Exit(1)
	}
}
