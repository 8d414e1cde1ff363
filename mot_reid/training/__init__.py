"""How is a Re-ID model made?"""

from mot_reid.extras import require

require("lightning", "training", "train")
