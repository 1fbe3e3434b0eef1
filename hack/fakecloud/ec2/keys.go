package ec2

import (
	"encoding/base64"
	"strings"
	"time"
)

type keyXML struct {
	ID          string      `xml:"keyPairId"`
	Name        string      `xml:"keyName"`
	Fingerprint string      `xml:"keyFingerprint"`
	Tags        set[tagXML] `xml:"tagSet"`
}

type keysReply struct {
	Keys set[keyXML] `xml:"keySet"`
}

func describeKeyPairs(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	filters, err := p.filters("tag:", "key-name")
	if err != nil {
		return nil, err
	}
	return func(time.Time) (any, error) {
		var reply keysReply
		for _, k := range sorted(c.keys) {
			fits := true
			for _, f := range filters {
				if key, tagged := cutTag(f.name); tagged {
					fits = fits && f.matches(k.tags[key])
				} else {
					fits = fits && f.matches(k.Name)
				}
			}
			if fits {
				reply.Keys.Items = append(reply.Keys.Items, keyXML{k.ID, k.Name, k.Fingerprint, tagSet(k.tags)})
			}
		}
		return reply, nil
	}, nil
}

func importKeyPair(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	name := p.get("KeyName")
	line, err := base64.StdEncoding.DecodeString(p.get("PublicKeyMaterial"))
	if err != nil || !strings.HasPrefix(string(line), "ssh-rsa ") && !strings.HasPrefix(string(line), "ssh-ed25519 ") {
		return nil, refuse("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	tags, err := p.tagSpecifications("key-pair")
	if err != nil {
		return nil, err
	}
	return func(time.Time) (any, error) {
		if c.keys[name] != nil {
			return nil, refuse("InvalidKeyPair.Duplicate", "The keypair already exists")
		}
		k := &keyPair{ID: c.next("key"), Name: name, Fingerprint: hexSHA256(line)[:32], tags: tags["key-pair"]}
		c.keys[name] = k
		return keyXML{k.ID, k.Name, k.Fingerprint, tagSet(k.tags)}, nil
	}, nil
}

// deleteKeyPair says yes to a name that does not exist, too, as EC2 does.
func deleteKeyPair(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	name := p.get("KeyName")
	return func(time.Time) (any, error) {
		delete(c.keys, name)
		return doneReply{true}, nil
	}, nil
}
