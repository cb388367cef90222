// Lists what policies are made of, with a client library that nobody here wrote. Only the base
// URL says that this is not the product.
const { frodo } = require('@rockcarver/frodo-lib');

async function main([host, username, password]) {
  const instance = frodo.createInstance({
    host,
    realm: '/',
    username,
    password,
    deploymentType: 'classic',
    useTokenCache: false,
  });
  const tokens = await instance.login.getTokens(true);
  if (!tokens) throw new Error('nobody was let in');
  const { resourceType, policySet, policy } = instance.authz;
  const names = (all) => all.map((one) => one.name);
  const pat = await resourceType.readResourceTypeByName('PAT');
  await policySet.createPolicySet(
    { name: 'Shop', displayName: 'Shop', resourceTypeUuids: [pat.uuid],
      applicationType: 'iPlanetAMWebAgentService', entitlementCombiner: 'DenyOverride' },
  );
  await policy.createPolicy('buyers', {
    name: 'buyers', active: true, applicationName: 'Shop', resourceTypeUuid: pat.uuid,
    resources: ['pat://alice:*'], actionValues: { access: true },
    subject: { type: 'NOT', subject: { type: 'NONE' } },
  });
  const told = {
    types: names(await resourceType.readResourceTypes()),
    sets: names(await policySet.readPolicySets()),
    policies: names(await policy.readPolicies()),
    buyers: names(await policy.readPoliciesByPolicySet('Shop')),
    one: (await policy.readPolicy('AllPATs')).resources,
  };
  console.log(JSON.stringify(told));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.getCombinedMessage ? error.getCombinedMessage() : error);
  process.exit(1);
});
