// Command coredns is CoreDNS with only the plugins that the Corefile of the test node names. The
// stock build links the clients of every large cloud, which takes longer to compile than Kubernetes.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// directives is the order in which a query passes the plugins: CoreDNS takes it from this list, not
// from the Corefile.
var directives = []string{"errors", "health", "ready", "loadbalance", "kubernetes", "template"}

func main() {
	dnsserver.Directives = directives
	coremain.Run()
}
