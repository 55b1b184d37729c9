//go:build unix && !darwin

package mcpauth

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// keyringReachable reports why there is no keyring. Where there is no session
// bus, the D-Bus library would start one, which stays when this program ends,
// and has no keyring.
func keyringReachable() error {
	if bus := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); bus != "" && !strings.HasPrefix(bus, "autolaunch:") {
		return nil
	}
	for _, name := range []string{"bus", "dbus-session"} { // where the library looks
		if _, err := os.Stat(fmt.Sprintf("/run/user/%d/%s", os.Getuid(), name)); err == nil {
			return nil
		}
	}
	return errors.New("there is no D-Bus session")
}
