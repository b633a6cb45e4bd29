"""What the operator decides, as pure functions: facts in, wishes out. Nothing waits, reads a clock or knows a client.

observed           decoded JSON → facts (facts.py); done by who watches
maker              one maker: its situation → changes of its children, its status
  situation        in which one situation it is; rollout and deletion say how far those two have come
  changes          what that means for Deployment (children), ConfigMaps (config_maps, resolved), pods (nudges)
  maker_status     what its status says: readiness, conditions, figures, ramp
account            one account: identity, switch both ways, requests
restarts           which stale workers are replaced, over all makers of a venue; the local runner uses it, too
outcome            what comes out, in the order in which it is carried out
"""
