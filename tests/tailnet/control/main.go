// SPDX-License-Identifier: MIT

// The control server of a tailnet that exists in one network namespace only: nodes log in without being asked,
// see each other online, and relay through a DERP server beside it. It prints its address when it
// takes connections; a second listener, on a unix socket, lets a test change the tailnet:
//
//	/routes?node=NAME&cidr=CIDR   NAME is the primary router of CIDR (again and again; none clears)
//	/ghost?name=NAME&ip=IPv4      adds a node that never answers
//	/auth?link=1&key=KEY          nodes log in by a link, or by this key only (neither: without being asked)
//	/expire?node=NAME|IPV4       that node's key has expired; with &undo=1: no longer, as after a login
//	/login?url=URL                somebody has opened that link
//	/record?name=FQDN&ip=IP       adds a DNS record that belongs to no node
//	/dns?suffix=SUFFIX&server=IP  names under SUFFIX have these name servers (again and again; without a suffix: no more split DNS)
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/dnstype"
	"tailscale.com/types/key"
)

// RunDERPAndSTUN wants a test to report to; here that is the log.
type reporter struct{ testing.TB }

func (reporter) Helper()                   {}
func (reporter) Cleanup(func())            {}
func (reporter) Logf(f string, a ...any)   { log.Printf(f, a...) }
func (reporter) Fatal(a ...any)            { log.Fatal(a...) }
func (reporter) Fatalf(f string, a ...any) { log.Fatalf(f, a...) }

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: control IP:PORT MAGICDNS-SUFFIX ADMIN-SOCKET")
	}
	addr, suffix, admin := netip.MustParseAddrPort(os.Args[1]), os.Args[2], os.Args[3]
	control := &testcontrol.Server{
		DERPMap:          integration.RunDERPAndSTUN(reporter{}, log.Printf, addr.Addr().String()),
		MagicDNSDomain:   suffix,
		DNSConfig:        &tailcfg.DNSConfig{Proxied: true, Domains: []string{suffix}},
		AllOnline:        true,
		AllNodesSameUser: true,
		ExplicitBaseURL:  "http://" + addr.String(),
	}
	http.HandleFunc("/routes", func(w http.ResponseWriter, r *http.Request) {
		routes := []netip.Prefix{}
		for _, cidr := range r.URL.Query()["cidr"] {
			routes = append(routes, netip.MustParsePrefix(cidr))
		}
		for _, n := range control.AllNodes() {
			if strings.HasPrefix(n.Name, r.FormValue("node")+".") {
				control.SetSubnetRoutes(n.Key, routes)
				fmt.Fprintln(w, n.Name, routes)
			}
		}
	})
	http.HandleFunc("/ghost", func(w http.ResponseWriter, r *http.Request) {
		ip := netip.MustParseAddr(r.FormValue("ip"))
		one := []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())}
		id := tailcfg.NodeID(1<<20 + len(control.AllNodes()))
		control.UpdateNode(&tailcfg.Node{
			ID: id, StableID: tailcfg.StableNodeID(fmt.Sprint("GHOST", id)), User: 1,
			Name: r.FormValue("name") + "." + suffix + ".", Key: key.NewNode().Public(),
			Machine: key.NewMachine().Public(), DiscoKey: key.NewDisco().Public(), MachineAuthorized: true,
			Addresses: one, AllowedIPs: one, Hostinfo: (&tailcfg.Hostinfo{Hostname: r.FormValue("name")}).View(),
		})
	})
	http.HandleFunc("/expire", func(w http.ResponseWriter, r *http.Request) {
		for _, n := range control.AllNodes() {
			if n.Addresses[0].Addr().String() == r.FormValue("node") || strings.HasPrefix(n.Name, r.FormValue("node")+".") {
				n.KeyExpiry, n.Expired = time.Now().Add(-time.Minute), true
				if r.FormValue("undo") != "" {
					n.KeyExpiry, n.Expired = time.Time{}, false
				}
				control.UpdateNode(n)
			}
		}
	})
	http.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		control.RequireAuth, control.RequireAuthKey = r.FormValue("link") != "", r.FormValue("key")
	})
	http.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, control.CompleteAuth(r.FormValue("url")))
	})
	http.HandleFunc("/record", func(w http.ResponseWriter, r *http.Request) {
		control.AddDNSRecords(tailcfg.DNSRecord{Name: r.FormValue("name"), Value: r.FormValue("ip")})
	})
	http.HandleFunc("/dns", func(w http.ResponseWriter, r *http.Request) {
		routes := map[string][]*dnstype.Resolver{}
		for name, resolvers := range control.DNSConfig.Routes {
			routes[name] = resolvers
		}
		if suffix := r.FormValue("suffix"); suffix != "" {
			routes[suffix] = []*dnstype.Resolver{}
			for _, server := range r.URL.Query()["server"] {
				routes[suffix] = append(routes[suffix], &dnstype.Resolver{Addr: server})
			}
		} else {
			routes = nil
		}
		control.DNSConfig.Routes = routes
		control.AddDNSRecords() // tells the nodes
	})

	adminListener, err := net.Listen("unix", admin)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(adminListener, nil)) }()
	listener, err := net.Listen("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(control.BaseURL())
	log.Fatal(http.Serve(listener, control))
}
