#include "CTrainerProtocol.h"
