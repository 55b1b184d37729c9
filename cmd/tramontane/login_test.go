package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/mcpauth"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// Programs that are let in as themselves, and the keys of clients.
func TestGrants(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	box := &toolbox{
		servers: mcptool.Servers{
			{Name: "robot", URL: "https://robot.example/mcp"},
			{Name: "pod", URL: "https://pod.example/mcp"},
			{Name: "me", URL: "https://me.example/mcp"},
		},
		oauth: map[string]mcptool.OAuth{
			"robot": {Grant: "client_credentials", ClientID: "id", PrivateKeyFile: file, Issuer: "https://i.example", Scopes: []string{"s"}, AllowHosts: []string{"sso.corp"}},
			"pod":   {Grant: "jwt-bearer", JWTFile: "/token", ClientID: "id", Issuer: "https://i.example"},
			"me":    {ClientID: "id", PrivateKey: string(text)},
		},
	}
	if err := box.newLogins(nil); err != nil {
		t.Fatal(err)
	}
	robot, ok := box.servers[0].Auth.(*mcpauth.ClientCredentials)
	if !ok || robot.Server != "https://robot.example/mcp" || robot.ClientID != "id" || robot.ClientIssuer != "https://i.example" ||
		len(robot.Scopes) != 1 || len(robot.AllowHosts) != 1 || !key.Equal(robot.ClientKey.Signer) {
		t.Errorf("the robot has %T %+v", box.servers[0].Auth, robot)
	}
	pod, ok := box.servers[1].Auth.(*mcpauth.Workload)
	if !ok || pod.Server != "https://pod.example/mcp" || pod.ClientID != "id" || pod.Issuer != "https://i.example" || pod.JWT == nil {
		t.Errorf("the pod has %T %+v", box.servers[1].Auth, pod)
	}
	if me := box.logins["me"]; me == nil || len(box.logins) != 1 || !key.Equal(me.ClientKey.Signer) {
		t.Errorf("the logins are %v", box.logins)
	}

	j := &mcpJob{toolbox: box}
	if _, err := j.login("robot"); err == nil || !strings.Contains(err.Error(), "client_credentials") {
		t.Errorf("log in for the robot: %v", err)
	}
	for _, o := range []mcptool.OAuth{{ClientID: "id", PrivateKeyFile: file + "x"}, {ClientID: "id", PrivateKey: "sekret"}} {
		box.oauth["me"] = o
		if err := box.newLogins(nil); err == nil || !strings.Contains(err.Error(), "MCP server me: the private key") || strings.Contains(err.Error(), "sekret") {
			t.Errorf("a key that cannot be read: %v", err)
		}
	}
}
