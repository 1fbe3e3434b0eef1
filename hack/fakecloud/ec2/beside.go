package ec2

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// operations of EC2 that this cloud knows.
var operations = map[string]operation{}

func init() {
	for name, op := range map[string]operation{
		"RunInstances": runInstances, "DescribeInstances": describeInstances, "TerminateInstances": terminateInstances,
		"StartInstances": startInstances, "StopInstances": stopInstances, "ModifyInstanceAttribute": modifyInstanceAttribute,
		"CreateTags": createTags, "DeleteTags": deleteTags, "DescribeInstanceTypes": describeInstanceTypes, "DescribeInstanceTypeOfferings": describeInstanceTypeOfferings,
		"DescribeVolumes": describeVolumes,
		"DescribeImages":  describeImages, "DescribeAvailabilityZones": describeAvailabilityZones, "DescribeSubnets": describeSubnets,
		"DescribeVpcs": describeVpcs, "DescribeSecurityGroups": describeSecurityGroups, "CreateSecurityGroup": createSecurityGroup,
		"AuthorizeSecurityGroupIngress": authorizeSecurityGroupIngress, "RevokeSecurityGroupIngress": revokeSecurityGroupIngress,
		"DeleteSecurityGroup": deleteSecurityGroup,
		"DescribeKeyPairs":    describeKeyPairs, "ImportKeyPair": importKeyPair, "DeleteKeyPair": deleteKeyPair,
	} {
		operations[name] = op
	}
}

// beside answers STS, SSM and the price list.
func (c *Cloud) beside(a *attempt) ([]byte, error) {
	switch a.service + " " + a.operation {
	case "sts GetCallerIdentity":
		arn := "arn:aws:iam::" + AccountID + ":user/fakecloud"
		return a.stsReply("<Arn>%s</Arn><UserId>AIDAFAKECLOUD</UserId><Account>%s</Account>", arn, AccountID), nil
	case "sts AssumeRole", "sts AssumeRoleWithWebIdentity":
		return c.assumeRole(a)
	case "ssm GetParameters":
		return c.getParameters(a)
	case "pricing GetProducts":
		return c.getProducts(a)
	}
	return nil, refuse("InvalidAction", fmt.Sprintf("The action %.64s of %.32s is not valid for this web service.", a.operation, a.service))
}

func (a *attempt) stsReply(format string, values ...any) []byte {
	return fmt.Appendf(nil, "<%[1]sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%[1]sResult>%[2]s</%[1]sResult><ResponseMetadata><RequestId>%[3]s</RequestId></ResponseMetadata></%[1]sResponse>",
		a.operation, fmt.Sprintf(format, values...), a.id)
}

func sessionToken(key string) string { return "session-of-" + key }

// assumeRole hands out a temporary key. It knows the roles whose name does not begin with "forbidden".
func (c *Cloud) assumeRole(a *attempt) ([]byte, error) {
	arn, session := a.params.get("RoleArn"), a.params.get("RoleSessionName")
	switch {
	case !strings.HasPrefix(arn, "arn:aws:iam::") || session == "":
		return nil, refuse("ValidationError", "RoleArn or RoleSessionName is invalid")
	case strings.Contains(arn, ":role/forbidden"):
		return nil, faults.Refuse(403, "AccessDenied", "User is not authorized to perform: "+a.operation+" on resource: "+arn)
	case a.operation == "AssumeRoleWithWebIdentity" && !strings.HasPrefix(a.params.get("WebIdentityToken"), "web-identity"):
		return nil, refuse("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
	}
	c.mu.Lock()
	c.serial++
	key := fmt.Sprintf("ASIAFAKECLOUD%07d", c.serial)
	c.sessions[key] = "secret-of-" + key
	c.mu.Unlock()
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339) // by our own time: the SDK's clock does not run faster
	return a.stsReply("<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>secret-of-%[1]s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>"+
		"<AssumedRoleUser><AssumedRoleId>AROAFAKECLOUD:s</AssumedRoleId><Arn>%s</Arn></AssumedRoleUser>", key, sessionToken(key), expires, xmlText(arn)), nil
}

func xmlText(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}

func (c *Cloud) getParameters(a *attempt) ([]byte, error) {
	var in struct{ Names []string }
	if err := json.Unmarshal(a.body, &in); err != nil || len(in.Names) == 0 || len(in.Names) > 10 {
		return nil, refuse("ValidationException", "1 to 10 names are expected")
	}
	type parameter struct{ Name, Type, Value string }
	out := struct {
		Parameters        []parameter
		InvalidParameters []string
	}{[]parameter{}, []string{}}
	for _, name := range in.Names {
		found := ""
		for id, image := range images {
			if image.Parameter == name {
				found = id
			}
		}
		if found == "" {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		out.Parameters = append(out.Parameters, parameter{name, "String", found})
	}
	return json.Marshal(out)
}

type product struct {
	family     string
	attributes map[string]string
	unit, usd  string
}

// products are invented prices in the form of AWS's price list.
func products() []product {
	var all []product
	for name, t := range types {
		if t.Price != "" {
			all = append(all, product{"Compute Instance", map[string]string{
				"instanceType": name, "regionCode": Region, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA",
				"capacitystatus": "Used", "licenseModel": "No License required", "servicecode": "AmazonEC2",
			}, "Hrs", t.Price})
		}
	}
	for kind, price := range map[string]string{"gp3": "0.0800000000", "gp2": "0.1000000000", "st1": "0.0450000000"} {
		all = append(all, product{"Storage", map[string]string{"volumeApiName": kind, "regionCode": Region, "servicecode": "AmazonEC2"}, "GB-Mo", price})
	}
	for usage, price := range map[string]string{"InUseAddress": "0.0050000000", "IdleAddress": "0.0050000000", "ContiguousBlock": "0.0080000000"} {
		all = append(all, product{"", map[string]string{
			"group": "VPCPublicIPv4Address", "usagetype": "EU-PublicIPv4:" + usage, "regionCode": Region, "servicecode": "AmazonVPC",
		}, "Hrs", price})
	}
	return all
}

func (c *Cloud) getProducts(a *attempt) ([]byte, error) {
	var in struct {
		ServiceCode, NextToken string
		MaxResults             int
		Filters                []struct{ Type, Field, Value string }
	}
	if err := json.Unmarshal(a.body, &in); err != nil || in.ServiceCode == "" || in.MaxResults > 100 {
		return nil, refuse("InvalidParameterException", "Input Parameters are invalid.")
	}
	lines := []string{}
	for n, p := range products() {
		fits := p.attributes["servicecode"] == in.ServiceCode
		for _, f := range in.Filters {
			fits = fits && f.Type == "TERM_MATCH" && f.Value == cmp.Or(map[string]string{"productFamily": p.family}[f.Field], p.attributes[f.Field])
		}
		if fits {
			lines = append(lines, p.line(n))
		}
	}
	return json.Marshal(map[string]any{"FormatVersion": "aws_v1", "PriceList": lines})
}

func (p product) line(n int) string {
	sku := fmt.Sprintf("SKU%05d", n)
	line, _ := json.Marshal(map[string]any{
		"product": map[string]any{"sku": sku, "productFamily": p.family, "attributes": p.attributes},
		"terms": map[string]any{"OnDemand": map[string]any{sku + ".JRTCKXETXF": map[string]any{"priceDimensions": map[string]any{
			sku + ".JRTCKXETXF.6YS6EN2CT7": map[string]any{"unit": p.unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": map[string]string{"USD": p.usd}},
		}}}},
		"publicationDate": "2026-01-01T00:00:00Z",
	})
	return string(line)
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
