package aws

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
)

// splitKeys picks the key that goes in as a key pair: EC2 knows RSA and Ed25519, and one for a machine. The others go in by cloud-init.
func splitKeys(lines []string) (importable string, others []string) {
	for _, line := range lines {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case importable == "" && (strings.HasPrefix(line, "ssh-ed25519 ") || strings.HasPrefix(line, "ssh-rsa ")):
			importable = line
		default:
			others = append(others, line)
		}
	}
	return importable, others
}

// importKey has the key known to EC2 and returns the pair's name, which is derived from the key: the same key is one pair.
func (a *AWS) importKey(ctx context.Context, line string) (string, error) {
	if line == "" {
		return "", nil
	}
	a.shared.use()
	name := derivedName(a.options.Installation, "key", line)
	_, err := a.imported.get(name, func() (struct{}, error) {
		var done struct{}
		out, err := a.api.reads.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: []types.Filter{filter("key-name", name)}})
		if err != nil || len(out.KeyPairs) > 0 {
			return done, classify("DescribeKeyPairs", err, fault.Retry)
		}
		_, err = a.api.writes.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{
			KeyName: sdk.String(name), PublicKeyMaterial: []byte(line),
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeKeyPair, Tags: []types.Tag{tag(tagInstallation, a.options.Installation)}}},
		})
		if codeOf(err) == "InvalidKeyPair.Duplicate" {
			return done, nil
		}
		return done, classify("ImportKeyPair", err, fault.Unknown)
	})
	return name, err
}

const (
	userDataLimit = 16 << 10 // bytes, before base64
	boundary      = "keelway-user-data"
)

// withKeys adds keys to user data, as a part of its own that cloud-init merges. The same input gives the same bytes.
func withKeys(userData []byte, keys []string) ([]byte, error) {
	all := userData
	if len(keys) > 0 {
		var config bytes.Buffer
		config.WriteString("#cloud-config\nssh_authorized_keys:\n")
		for _, key := range keys {
			fmt.Fprintf(&config, "- %q\n", key)
		}
		all = config.Bytes()
		if len(userData) > 0 {
			kind := contentType(userData)
			if kind == "" {
				return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "userData: it is none of cloud-config, a script or an include, so that %d more SSH keys cannot be added to it", len(keys))
			}
			var parts bytes.Buffer
			fmt.Fprintf(&parts, "Content-Type: multipart/mixed; boundary=\"%s\"\nMIME-Version: 1.0\n\n", boundary)
			fmt.Fprintf(&parts, "--%s\nContent-Type: %s\n\n%s\n", boundary, kind, userData)
			fmt.Fprintf(&parts, "--%s\nContent-Type: text/cloud-config\nX-Merge-Type: list(append)+dict(recurse_array)+str()\n\n%s\n--%[1]s--\n", boundary, config.String())
			all = parts.Bytes()
		}
	}
	if len(all) > userDataLimit {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "userData: it has %d bytes, AWS admits %d", len(all), userDataLimit)
	}
	return all, nil
}

func contentType(userData []byte) string {
	for prefix, kind := range map[string]string{"#cloud-config": "text/cloud-config", "#!": "text/x-shellscript", "#include": "text/x-include-url", "#cloud-boothook": "text/cloud-boothook"} {
		if bytes.HasPrefix(userData, []byte(prefix)) && !bytes.Contains(userData, []byte(boundary)) {
			return kind
		}
	}
	return ""
}
